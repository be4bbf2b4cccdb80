variable "region" {
  description = "Where the server is: as near to its members as can be."
  type        = string
  default     = "fra1"
}

variable "size" {
  description = "The machine; s-1vcpu-2gb is enough for a few sessions."
  type        = string
  default     = "s-1vcpu-2gb"
}

variable "zone" {
  description = "DigitalOcean's zone, such as example.org, in which a record is made; none where you make it yourself."
  type        = string
  default     = ""
}
