//! Named volumes.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{Volume, VolumeCreateRequest};
use bollard::query_parameters::{ListVolumesOptions, RemoveVolumeOptions};

use super::{CallError, Engine, Why};
use crate::labels;

/// A volume as it is made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewVolume {
    pub(crate) engine_name: String,
    pub(crate) driver: String,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) labels: HashMap<String, String>,
}

/// A volume as it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeenVolume {
    pub(crate) engine_name: String,
    pub(crate) driver: String,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Engine {
    /// Makes a volume; returns the one of that name where there is one already.
    pub(crate) async fn create_volume(&self, volume: NewVolume) -> Result<SeenVolume, CallError> {
        let request = VolumeCreateRequest {
            name: Some(volume.engine_name),
            driver: Some(volume.driver),
            driver_opts: Some(volume.options.into_iter().collect()),
            labels: Some(volume.labels),
            ..VolumeCreateRequest::default()
        };
        let made = self.late().await?.create_volume(request).await;
        made.map(seen).map_err(|error| self.error(error))
    }

    /// Returns a volume by name; `None` where there is none.
    pub(crate) async fn volume(&self, name: &str) -> Result<Option<SeenVolume>, CallError> {
        match self.soon().await?.inspect_volume(name).await {
            Ok(volume) => Ok(Some(seen(volume))),
            Err(error) => match self.error(error) {
                error if error.why == Why::NotFound => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Returns the volumes with a label.
    pub(crate) async fn volumes_with(&self, label: &str, value: &str) -> Result<Vec<SeenVolume>, CallError> {
        let options = ListVolumesOptions {
            filters: Some(labels::with(label, value)),
        };
        let listed = self
            .soon()
            .await?
            .list_volumes(Some(options))
            .await
            .map_err(|error| self.error(error))?;
        Ok(listed.volumes.unwrap_or_default().into_iter().map(seen).collect())
    }

    /// Deletes a volume with all that is in it; one that is gone is no error.
    pub(crate) async fn remove_volume(&self, name: &str) -> Result<(), CallError> {
        let removed = self
            .late()
            .await?
            .remove_volume(name, None::<RemoveVolumeOptions>)
            .await;
        match removed.map_err(|error| self.error(error)) {
            Err(error) if error.why == Why::NotFound => Ok(()),
            other => other,
        }
    }
}

fn seen(volume: Volume) -> SeenVolume {
    SeenVolume {
        engine_name: volume.name,
        driver: volume.driver,
        options: volume.options.into_iter().collect(),
        labels: volume.labels.into_iter().collect(),
    }
}
