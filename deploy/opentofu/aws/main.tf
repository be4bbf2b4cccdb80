# One server of an open pool at AWS: docs/deploy.md, "Clouds".  Another region is another pool:
# tofu workspace new eu-west-1, and the same with -var region=eu-west-1 and another domain.

terraform {
  required_version = ">= 1.8"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = { Project = "p2c2g" }
  }
}

module "server" {
  source        = "../server"
  domain        = var.domain
  email         = var.email
  source_url    = var.source_url
  source_sha256 = var.source_sha256
}

# Debian 13, by Debian's own account.
data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"]
  filter {
    name   = "name"
    values = ["debian-13-amd64-*"]
  }
  filter {
    name   = "virtualization-type"
    values = ["hvm"]
  }
}

resource "aws_key_pair" "operator" {
  key_name_prefix = "p2c2g-"
  public_key      = var.ssh_public_key
}

resource "aws_security_group" "server" {
  name_prefix = "p2c2g-"
  description = "A pool: https, its broker, and its operator by ssh"
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "members" {
  for_each          = { acme = 80, https = 443, broker = 6390 }
  security_group_id = aws_security_group.server.id
  description       = each.key
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
}

resource "aws_vpc_security_group_ingress_rule" "operator" {
  for_each          = toset(var.ssh_from)
  security_group_id = aws_security_group.server.id
  description       = "ssh"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
}

resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.server.id
  description       = "packages, and the authority"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_instance" "server" {
  ami                    = data.aws_ami.debian.id
  instance_type          = var.size
  key_name               = aws_key_pair.operator.key_name
  vpc_security_group_ids = [aws_security_group.server.id]
  user_data              = module.server.user_data
  root_block_device {
    volume_type = "gp3"
    volume_size = 20
    encrypted   = true
  }
  metadata_options {
    http_tokens = "required"
  }
  tags = { Name = var.domain }
  lifecycle {
    # A newer image, or a newer release, is no reason for a new server: vps.sh upgrade.
    ignore_changes = [ami, user_data]
  }
}

resource "aws_eip" "server" {
  domain = "vpc"
}

resource "aws_eip_association" "server" {
  allocation_id = aws_eip.server.id
  instance_id   = aws_instance.server.id
}

resource "aws_route53_record" "server" {
  count   = var.zone_id == "" ? 0 : 1
  zone_id = var.zone_id
  name    = var.domain
  type    = "A"
  ttl     = 300
  records = [aws_eip.server.public_ip]
}
