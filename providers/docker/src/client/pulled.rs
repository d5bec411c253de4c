//! How far a pull is.

use std::collections::BTreeMap;

use bollard::models::CreateImageInfo;

/// The layers of an image, as far as an engine has told of them.
#[derive(Debug, Default)]
pub(super) struct Pulled {
    layers: BTreeMap<String, Layer>,
}

#[derive(Debug, Default)]
struct Layer {
    is_done: bool,
    bytes: u64,
    size: u64,
}

impl Pulled {
    /// Takes in what an engine tells.
    pub(super) fn hear(&mut self, told: &CreateImageInfo) {
        let (Some(id), Some(status)) = (&told.id, &told.status) else {
            return;
        };
        if status.starts_with("Pulling from ") {
            // That is the tag.
            return;
        }
        let layer = self.layers.entry(id.clone()).or_default();
        match status.as_str() {
            "Downloading" => {
                let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok()).unwrap_or_default();
                let detail = told.progress_detail.as_ref();
                layer.bytes = number(detail.and_then(|detail| detail.current));
                layer.size = number(detail.and_then(|detail| detail.total)).max(layer.bytes);
            }
            "Verifying Checksum" | "Download complete" => layer.bytes = layer.size,
            "Pull complete" | "Already exists" => (layer.is_done, layer.bytes) = (true, layer.size),
            _ => {}
        }
    }

    /// Says it in words: `2 of 5 layers, 12.4 of 80.1 MB`. Of layers that wait, the size is not known.
    pub(super) fn words(&self) -> String {
        let layers = self.layers.values();
        let (done, all) = (layers.clone().filter(|layer| layer.is_done).count(), layers.len());
        let bytes: u64 = layers.clone().map(|layer| layer.bytes).sum();
        let size: u64 = layers.map(|layer| layer.size).sum();
        let layers = if all == 1 { "layer" } else { "layers" };
        match size {
            0 => format!("{done} of {all} {layers}"),
            size => format!(
                "{done} of {all} {layers}, {:.1} of {:.1} MB",
                megabytes(bytes),
                megabytes(size)
            ),
        }
    }
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    #[test]
    fn layers_and_bytes() {
        let mut pulled = Pulled::default();
        for (id, status, bytes, expected) in [
            ("1.27", "Pulling from library/nginx", None, "0 of 0 layers"),
            ("a", "Pulling fs layer", None, "0 of 1 layer"),
            ("b", "Waiting", None, "0 of 2 layers"),
            ("c", "Already exists", None, "1 of 3 layers"),
            (
                "a",
                "Downloading",
                Some((500_000, 2_000_000)),
                "1 of 3 layers, 0.5 of 2.0 MB",
            ),
            (
                "b",
                "Downloading",
                Some((100_000, 10_000_000)),
                "1 of 3 layers, 0.6 of 12.0 MB",
            ),
            ("a", "Download complete", None, "1 of 3 layers, 2.1 of 12.0 MB"),
            // Of what is unpacked, the bytes are others.
            (
                "a",
                "Extracting",
                Some((32_768, 2_000_000)),
                "1 of 3 layers, 2.1 of 12.0 MB",
            ),
            ("a", "Pull complete", None, "2 of 3 layers, 2.1 of 12.0 MB"),
        ] {
            pulled.hear(&CreateImageInfo {
                id: Some(id.to_owned()),
                status: Some(status.to_owned()),
                progress_detail: bytes.map(|(current, total)| ProgressDetail {
                    current: Some(current),
                    total: Some(total),
                }),
                ..CreateImageInfo::default()
            });
            assert_eq!(pulled.words(), expected, "{id} {status}");
        }
    }
}
