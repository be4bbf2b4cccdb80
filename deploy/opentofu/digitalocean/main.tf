# One server of an open pool at DigitalOcean: docs/deploy.md, "Clouds".  Another region is another
# pool: tofu workspace new nyc3, and the same with -var region=nyc3 and another domain.

terraform {
  required_version = ">= 1.8"
  required_providers {
    digitalocean = {
      source  = "digitalocean/digitalocean"
      version = "~> 2.40"
    }
  }
}

# The token is in DIGITALOCEAN_TOKEN.
provider "digitalocean" {}

module "server" {
  source        = "../server"
  domain        = var.domain
  email         = var.email
  source_url    = var.source_url
  source_sha256 = var.source_sha256
}

resource "digitalocean_ssh_key" "operator" {
  name       = "p2c2g ${var.domain}"
  public_key = var.ssh_public_key
}

resource "digitalocean_droplet" "server" {
  name       = var.domain
  region     = var.region
  size       = var.size
  image      = "debian-13-x64"
  ssh_keys   = [digitalocean_ssh_key.operator.fingerprint]
  user_data  = module.server.user_data
  monitoring = true
  tags       = ["p2c2g"]
  lifecycle {
    # A newer release is no reason for a new server: vps.sh upgrade.
    ignore_changes = [image, user_data]
  }
}

resource "digitalocean_reserved_ip" "server" {
  region = var.region
}

resource "digitalocean_reserved_ip_assignment" "server" {
  ip_address = digitalocean_reserved_ip.server.ip_address
  droplet_id = digitalocean_droplet.server.id
}

resource "digitalocean_firewall" "server" {
  name        = "p2c2g-${replace(var.domain, ".", "-")}"
  droplet_ids = [digitalocean_droplet.server.id]

  dynamic "inbound_rule" {
    for_each = [80, 443, 6390]
    content {
      protocol         = "tcp"
      port_range       = tostring(inbound_rule.value)
      source_addresses = ["0.0.0.0/0", "::/0"]
    }
  }
  inbound_rule {
    protocol         = "tcp"
    port_range       = "22"
    source_addresses = var.ssh_from
  }
  dynamic "outbound_rule" {
    for_each = ["tcp", "udp"]
    content {
      protocol              = outbound_rule.value
      port_range            = "1-65535"
      destination_addresses = ["0.0.0.0/0", "::/0"]
    }
  }
  outbound_rule {
    protocol              = "icmp"
    destination_addresses = ["0.0.0.0/0", "::/0"]
  }
}

resource "digitalocean_record" "server" {
  count  = var.zone == "" ? 0 : 1
  domain = var.zone
  type   = "A"
  name   = trimsuffix(var.domain, ".${var.zone}")
  value  = digitalocean_reserved_ip.server.ip_address
  ttl    = 300
}
