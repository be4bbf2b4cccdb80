# What each cloud and the module server are told alike: one file, to which their release.tf is a link.

variable "domain" {
  description = "The name by which members reach the pool, such as pool.example.org."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", var.domain)) && can(regex("[a-z]", var.domain))
    error_message = "Give a name alone, such as pool.example.org: without https://, and no address."
  }
}

variable "email" {
  description = "Where Let's Encrypt writes to when a certificate is about to end; its terms are accepted by it."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+$", var.email))
    error_message = "Give an address, such as you@example.org."
  }
}

variable "source_url" {
  description = "Where a release's p2c2g-VERSION.tar.gz is."
  type        = string
  validation {
    condition     = can(regex("^https://[A-Za-z0-9.:/_~%+-]+$", var.source_url))
    error_message = "Give the https:// address of a release's p2c2g-VERSION.tar.gz."
  }
}

variable "source_sha256" {
  description = "The SHA-256 of that file, in hexadecimal digits."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.source_sha256))
    error_message = "Give 64 hexadecimal digits: sha256sum p2c2g-VERSION.tar.gz shows them."
  }
}
