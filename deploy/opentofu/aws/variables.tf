variable "region" {
  description = "Where the server is: as near to its members as can be."
  type        = string
  default     = "eu-central-1"
}

variable "size" {
  description = "The machine; t3.small (2 GiB) is enough for a few sessions."
  type        = string
  default     = "t3.small"
}

variable "zone_id" {
  description = "Route 53's zone of that name, in which a record is made; none where you make it yourself."
  type        = string
  default     = ""
}
