# Who may come in by ssh, alike at each cloud, whose access.tf is a link to this file.

variable "ssh_public_key" {
  description = "The operator's public key, as ~/.ssh/id_ed25519.pub has it."
  type        = string
}

variable "ssh_from" {
  description = "The networks from which the operator comes, such as [\"192.0.2.7/32\"]."
  type        = list(string)
}
