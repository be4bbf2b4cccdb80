output "address" {
  description = "What the domain's A record has to be."
  value       = aws_eip.server.public_ip
}

output "ssh" {
  description = "The way in for its operator."
  value       = "ssh admin@${aws_eip.server.public_ip}"
}
