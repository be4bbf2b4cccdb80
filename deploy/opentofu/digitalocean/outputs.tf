output "address" {
  description = "What the domain's A record has to be."
  value       = digitalocean_reserved_ip.server.ip_address
}

output "ssh" {
  description = "The way in for its operator."
  value       = "ssh root@${digitalocean_reserved_ip.server.ip_address}"
}
