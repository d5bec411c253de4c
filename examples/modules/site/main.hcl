# A pool and the vehicles that fly from it. The provider is the caller's.

variable "name" { type = string }

variable "vehicles" {
  type = number
  validation {
    condition     = var.vehicles >= 1 && var.vehicles <= 8
    error_message = "site ${var.name}: vehicles must be 1..8, two nodes with four places each"
  }
}

variable "home" {
  type        = object({ latitude = number, longitude = number })
  description = "Where its vehicles start"
}

pool "field" {
  node {
    max_simulators = 4
    labels         = { site = var.name }
    port_range "mavlink" {
      from = 14560
      to   = 14570
    }
  }
  autoscale {
    min = 1
    max = 2
    check "free_slots" {
      strategy "buffer" { min_ready = 1 }
    }
  }
}

simulator "vehicle" "quad" {
  count     = var.vehicles
  placement = pool.field
  instance  = count.index
  home      = merge(var.home, { altitude_m = 0 })
  port "gcs" { range = "mavlink" }
}

output "endpoints" {
  value = { for v in simulator.vehicle.quad : v.name => "udp://${v.node.address}:${v.ports.gcs}" }
}
