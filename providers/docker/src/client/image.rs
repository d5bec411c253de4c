//! Images: those that are there, and how others get there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{CreateImageOptions, ListImagesOptions, RemoveImageOptions, TagImageOptions};
use futures::StreamExt;
use simfleet_provider_api::progress::tell;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::pulled::Pulled;
use super::{CallError, Engine, Why};
use crate::credentials::{self, Credentials};
use crate::labels;

/// For how long an engine may be silent at the start of a pull: it may wait for a registry.
const PULL: Duration = Duration::from_secs(10 * 60);

/// What brings images, one at a time for each: who wants the same image waits for the one that brings it.
#[derive(Debug, Default)]
pub(super) struct InTurn(Mutex<BTreeMap<String, Arc<Mutex<()>>>>);

impl InTurn {
    /// Returns what is held while an image is brought.
    pub(super) async fn of(&self, image: &str) -> OwnedMutexGuard<()> {
        let turn = self.0.lock().await.entry(image.to_owned()).or_default().clone();
        turn.lock_owned().await
    }
}

/// What an image says of the containers that are made of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SeenImage {
    pub(crate) id: String,
    pub(crate) tags: Vec<String>,
    /// When it was made, such that later times sort after earlier ones.
    pub(crate) created: String,
    pub(crate) env: Vec<String>,
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) user: Option<String>,
    pub(crate) working_dir: Option<String>,
    pub(crate) stop_signal: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Engine {
    /// Returns an image that the engine has, by tag, digest or id; `None` where it has none such.
    pub(crate) async fn image(&self, reference: &str) -> Result<Option<SeenImage>, CallError> {
        let image = match self.soon().await?.inspect_image(reference).await {
            Ok(image) => image,
            Err(error) => match self.error(error) {
                error if error.why == Why::NotFound => return Ok(None),
                error => return Err(error),
            },
        };
        let config = image.config.unwrap_or_default();
        let text = |value: Option<String>| value.filter(|text| !text.is_empty());
        Ok(Some(SeenImage {
            id: image.id.unwrap_or_default(),
            tags: image.repo_tags.unwrap_or_default(),
            created: image.created.unwrap_or_default().trim_end_matches('Z').to_owned(),
            env: config.env.unwrap_or_default(),
            entrypoint: config.entrypoint.filter(|words| !words.is_empty()),
            command: config.cmd.filter(|words| !words.is_empty()),
            user: text(config.user),
            working_dir: text(config.working_dir),
            stop_signal: text(config.stop_signal),
            labels: config.labels.unwrap_or_default().into_iter().collect(),
        }))
    }

    /// Returns the ids of the images with a label.
    pub(crate) async fn images_with(&self, label: &str, value: &str) -> Result<Vec<String>, CallError> {
        let options = ListImagesOptions {
            filters: Some(labels::with(label, value)),
            ..ListImagesOptions::default()
        };
        let listed = self.soon().await?.list_images(Some(options)).await;
        let listed = listed.map_err(|error| self.error(error))?;
        Ok(listed.into_iter().map(|image| image.id).collect())
    }

    /// Gives a tag to an image.
    pub(crate) async fn tag_image(&self, id: &str, tag: &str) -> Result<(), CallError> {
        let (repo, tag) = split(tag);
        let options = TagImageOptions {
            repo: Some(repo.to_owned()),
            tag: Some(tag.to_owned()),
        };
        let tagged = self.late().await?.tag_image(id, Some(options)).await;
        tagged.map_err(|error| self.error(error))
    }

    /// Takes a tag from an image, or removes an image by its id. The engine refuses to remove what something uses.
    pub(crate) async fn remove_image(&self, reference: &str) -> Result<(), CallError> {
        let removed = self
            .late()
            .await?
            .remove_image(reference, None::<RemoveImageOptions>, None)
            .await;
        let Err(error) = removed.map_err(|error| self.error(error)) else {
            return Ok(());
        };
        // Of two that remove one image at once, the engine fails one with status 500: "unrecognized image ID".
        match error.why {
            Why::Refused if self.image(reference).await?.is_none() => Ok(()),
            _ => Err(error),
        }
    }

    /// Has the engine pull an image.
    pub(crate) async fn pull(&self, reference: &str) -> Result<(), CallError> {
        let credentials = credentials::of(reference, &self.folder)
            .await
            .map_err(|message| CallError {
                why: Why::Refused,
                message,
            })?;
        let (name, tag) = split(reference);
        let options = CreateImageOptions {
            from_image: Some(name.to_owned()),
            tag: Some(tag.to_owned()),
            ..CreateImageOptions::default()
        };
        let mut progress = self
            .later(PULL)
            .await?
            .create_image(Some(options), None, credentials.map(login));
        let mut pulled = Pulled::default();
        let mut told = String::new();
        while let Some(step) = progress.next().await {
            let step = step.map_err(|error| self.error(error))?;
            if let Some(detail) = step.error_detail.as_ref().and_then(|detail| detail.message.clone()) {
                return Err(CallError {
                    why: Why::Refused,
                    message: detail,
                });
            }
            tracing::debug!(image = reference, layer = step.id, status = step.status, "pull");
            pulled.hear(&step);
            let words = pulled.words();
            if words != told {
                tell(format!("pulls {reference}: {words}"));
                told = words;
            }
        }
        Ok(())
    }

    /// Returns an image, pulled first where it is missing. Of many who miss the same one, one pulls.
    pub(crate) async fn image_or_pull(&self, reference: &str) -> Result<Option<SeenImage>, CallError> {
        if let Some(image) = self.image(reference).await? {
            return Ok(Some(image));
        }
        let _pulling = self.pulls.of(reference).await;
        if let Some(image) = self.image(reference).await? {
            return Ok(Some(image));
        }
        self.pull(reference).await?;
        self.image(reference).await
    }
}

pub(super) fn login(credentials: Credentials) -> DockerCredentials {
    match credentials {
        Credentials::Password {
            registry,
            user,
            password,
        } => DockerCredentials {
            username: Some(user),
            password: Some(password),
            serveraddress: Some(registry),
            ..DockerCredentials::default()
        },
        Credentials::Token { registry, token } => DockerCredentials {
            identitytoken: Some(token),
            serveraddress: Some(registry),
            ..DockerCredentials::default()
        },
    }
}

/// Splits a reference into what is pulled and its tag or digest, which the engine takes apart from each other.
fn split(reference: &str) -> (&str, &str) {
    if let Some((name, digest)) = reference.split_once('@') {
        return (name, digest);
    }
    // A colon before the last slash is that of a port.
    let last = reference.rfind('/').map_or(0, |slash| slash + 1);
    match reference[last..].rfind(':') {
        Some(colon) => (&reference[..last + colon], &reference[last + colon + 1..]),
        None => (reference, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_reference_is_split_where_the_engine_splits_it() {
        for (reference, expected) in [
            ("nginx", ("nginx", "latest")),
            ("nginx:1.27", ("nginx", "1.27")),
            ("localhost:5000/team/nginx", ("localhost:5000/team/nginx", "latest")),
            ("localhost:5000/team/nginx:1", ("localhost:5000/team/nginx", "1")),
            ("nginx@sha256:ab", ("nginx", "sha256:ab")),
        ] {
            assert_eq!(split(reference), expected, "{reference}");
        }
    }
}
