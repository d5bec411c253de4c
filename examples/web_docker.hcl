# A web service in containers: an nginx on this machine, and behind it as many workers as keep their processors busy enough,
# by what the Docker engine says that they use.
#
# `scripts/demo --docker` makes the image and runs it, with an nginx of its own and load that comes and goes. The engine is
# that of the docker client: DOCKER_HOST, else its context.

variable "folder" {
  default     = "/etc/nginx"
  description = "the folder of nginx: its configuration is nginx.conf there, and includes conf.d/*.conf"
}
variable "listen" { default = 8088 }
variable "image" {
  default     = "simfleet-demo/worker:1"
  description = "an image with examples/web/worker.rs"
}

provider "local" {}
provider "docker" {}

node "front" { provider = local }

pool "web" {
  provider = docker
  node {
    image      = var.image
    env        = { PORT = 8000, NAME = member.name }
    cpus       = 0.15
    memory     = "64MiB"
    stop_grace = "1s" # nobody is connected any more by then
    health_check {
      http     = "http://{private_ip}:8000/health"
      interval = "2s"
    }
  }

  autoscale {
    min                 = 1
    max                 = 8
    evaluation_interval = "1s"
    check "cpu" {
      source = "simfleet"
      query  = "cpu_utilization"
      window = "3s"
      strategy "target" { target = 60 }
    }
    # Fast, so that there is something to see.
    behavior {
      scale_up { stabilization_window = "1s" }
      scale_down {
        stabilization_window = "4s"
        cooldown             = "2s"
        policy {
          type   = "percent"
          value  = 100
          period = "2s"
        }
      }
    }
  }

  load_balancer "nginx" {
    node      = node.front
    listen    = var.listen
    algorithm = "least_conn"
    port      = 8000
    file      = "${var.folder}/conf.d/web.conf"
    test      = ["nginx", "-p", var.folder, "-c", "${var.folder}/nginx.conf", "-t"]
    reload    = ["nginx", "-p", var.folder, "-c", "${var.folder}/nginx.conf", "-s", "reload"]
  }

  drain { timeout = "5s" }
}
