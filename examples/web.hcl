# A web service on this machine: an nginx, and behind it as many small workers as there is work for.
#
# `scripts/demo` runs it, with an nginx of its own and load that comes and goes. By hand: give the folder of an nginx whose
# configuration includes conf.d/*.conf, as below `folder` = "/etc/nginx".

variable "folder" {
  default     = "/etc/nginx"
  description = "the folder of nginx: its configuration is nginx.conf there"
}
variable "listen" { default = 8088 }

provider "local" {}

node "front" {}

pool "web" {
  node {
    process "worker" {
      command = ["python3", abspath("${path.root}/web/worker.py")]
      env     = { PORT = 8000, NAME = member.name }
      ready { pattern = "listens" }
    }
  }

  autoscale {
    min                 = 1
    max                 = 8
    evaluation_interval = "1s"
    check "busy" {
      source = "http"
      query  = "http://{private_ip}:8000/load#$.busy_percent"
      window = "2s"
      strategy "target" { target = 50 }
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
    health_check { http = "/health" }
  }

  drain { timeout = "5s" }
}
