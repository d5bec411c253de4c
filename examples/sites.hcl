# Two sites on this machine, each an instance of one module: a pool and the vehicles that fly from it. A third site is a
# line more; a site that goes takes its own vehicles with it and no others.

provider "local" {}

variable "sites" {
  type = map(object({
    vehicles = number
    home     = optional(object({ latitude = number, longitude = number }), { latitude = 47.397742, longitude = 8.545594 })
  }))
  default = {
    north = { vehicles = 2 }
    south = { vehicles = 1, home = { latitude = -33.865, longitude = 151.209 } }
  }
}

module "site" {
  source   = "./modules/site"
  for_each = var.sites

  name     = each.key
  vehicles = each.value.vehicles
  home     = each.value.home
}

check "reachable" {
  assert {
    condition     = alltrue([for site in module.site : length(site.endpoints) > 0])
    error_message = "a site without a vehicle"
  }
}

output "endpoints" {
  description = "Connect a ground station to these, by site"
  value       = { for name, site in module.site : name => site.endpoints }
}
