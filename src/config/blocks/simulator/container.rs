//! `simulator "container"`: any image.

use crate::config::blocks::service;
use crate::config::schema::BlockSchema;

pub(in crate::config::blocks) fn schema() -> BlockSchema {
    service::container(super::shared("container", "Any image.")).later()
}
