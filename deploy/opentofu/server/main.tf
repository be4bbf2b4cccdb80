# What a cloud's machine does at its first start: it fetches one release of P2C2G, checks it, and
# runs the deploy/vps.sh in it.  No provider is needed, so that this can be tried anywhere.

terraform {
  required_version = ">= 1.8"
}

output "user_data" {
  description = "For cloud-init."
  value = templatefile("${path.module}/cloud-init.yaml", {
    domain        = var.domain
    email         = var.email
    source_url    = var.source_url
    source_sha256 = var.source_sha256
  })
}
