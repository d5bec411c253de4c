//! Programs that were uploaded, to be loaded into machines: files beside the state, named by their SHA-256.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, HttpBody};
use axum::extract::{self, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::App;
use super::guard::Refused;

/// How many are kept at the most, and how large one may be where `limits` does not say.
const MOST: usize = 100;
const LARGEST: u64 = 256 << 20;
/// After how long nobody is taken to be at work on one.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// The programs.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    /// How many were uploaded since it began.
    uploaded: AtomicU64,
    /// One at a time is given its name, so that there are never too many.
    naming: Mutex<()>,
}

/// A program that is there.
#[derive(Debug)]
struct Program {
    sha256: String,
    size: u64,
    uploaded: Option<Timestamp>,
}

impl Programs {
    pub(super) fn new(folder: PathBuf) -> Self {
        remove_drafts(&folder);
        Programs {
            folder,
            uploaded: AtomicU64::new(0),
            naming: Mutex::default(),
        }
    }

    /// Returns how many were uploaded since it began.
    pub(super) fn uploaded(&self) -> u64 {
        self.uploaded.load(Ordering::Relaxed)
    }

    /// Returns the file of a program.
    pub(super) fn find(&self, sha256: &str) -> Result<PathBuf, Refused> {
        let name = digest(sha256)?;
        let path = self.folder.join(&name);
        match path.is_file() {
            true => Ok(path),
            false => Err(missing(&name)),
        }
    }

    fn all(&self) -> io::Result<Vec<Program>> {
        let folder = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            folder => folder?,
        };
        let mut all = Vec::new();
        for entry in folder {
            let entry = entry?;
            let name = entry.file_name().into_string().unwrap_or_default();
            if digest(&name).is_ok_and(|digest| digest == name) {
                all.extend(look(&entry.path(), name));
            }
        }
        all.sort_by(|a, b| (a.uploaded, &a.sha256).cmp(&(b.uploaded, &b.sha256)));
        Ok(all)
    }

    /// Gives what was uploaded its name. Returns whether it was not there before.
    fn keep(&self, draft: &Path, sha256: &str) -> Result<bool, Refused> {
        let _one = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.folder.join(sha256);
        if path.is_file() {
            return Ok(false);
        }
        if self.all().map_err(unwritten)?.len() >= MOST {
            let why = format!("there are {MOST} programs already: delete one, `DELETE /v1/programs/SHA256`");
            return Err(Refused(StatusCode::CONFLICT, why));
        }
        fs::rename(draft, &path).map_err(unwritten)?;
        Ok(true)
    }
}

/// Removes what a watch that was killed had not taken in as a whole.
fn remove_drafts(folder: &Path) {
    let is_draft = |name: &str| name.starts_with('.') && name.ends_with(".new");
    // What cannot be seen or removed is in nobody's way.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED));
        if is_old && entry.file_name().to_str().is_some_and(is_draft) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn look(path: &Path, sha256: String) -> Option<Program> {
    let metadata = fs::metadata(path).ok()?;
    let uploaded = metadata.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
    Some(Program {
        sha256,
        size: metadata.len(),
        uploaded,
    })
}

/// Reads a SHA-256, which is written with small letters here.
fn digest(text: &str) -> Result<String, Refused> {
    let is_one = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let wrong = || {
        Refused(
            StatusCode::BAD_REQUEST,
            format!("`{text}` is no SHA-256 in hexadecimal"),
        )
    };
    is_one.then(|| text.to_ascii_lowercase()).ok_or_else(wrong)
}

fn missing(sha256: &str) -> Refused {
    let why = format!("there is no program {sha256}; `PUT /v1/programs/SHA256` uploads one");
    Refused(StatusCode::NOT_FOUND, why)
}

fn unwritten(error: io::Error) -> Refused {
    let status = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Refused(status, format!("the program cannot be kept: {error}"))
}

/// A file that is removed where nobody gives it another name.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // It has another name, or is of no use.
        let _ = fs::remove_file(&self.0);
    }
}

pub(super) async fn all(State(app): State<App>) -> Result<Json<Value>, Refused> {
    let all = app.programs.all().map_err(unwritten)?;
    Ok(Json(all.iter().map(told).collect()))
}

fn told(program: &Program) -> Value {
    json!({
        "sha256": program.sha256,
        "size": program.size,
        "uploaded": program.uploaded.map(|at| at.to_string()),
    })
}

pub(super) async fn upload(State(app): State<App>, body: Body) -> Result<Response, Refused> {
    uploaded(&app, None, body).await
}

pub(super) async fn upload_as(
    State(app): State<App>,
    extract::Path(sha256): extract::Path<String>,
    body: Body,
) -> Result<Response, Refused> {
    uploaded(&app, Some(digest(&sha256)?), body).await
}

/// How large a program may be, where that is declared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(Option<u64>);

impl Limit {
    pub(super) fn of(app: &App) -> Self {
        let fleet = app.fleet();
        Limit(fleet.config().limits.max_program.as_ref().map(|limit| limit.allowed))
    }

    pub(super) fn most(self) -> u64 {
        self.0.unwrap_or(LARGEST)
    }

    /// Says that a program is larger.
    pub(super) fn refused(self) -> Refused {
        let why = match self.0 {
            Some(most) => format!("the program has more than the {most} bytes of `limits.max_program`"),
            None => format!("the program has more than {LARGEST} bytes; `limits.max_program` can allow more"),
        };
        Refused(StatusCode::PAYLOAD_TOO_LARGE, why)
    }
}

/// Takes a program in, and gives it its name once it is whole.
async fn uploaded(app: &App, wanted: Option<String>, body: Body) -> Result<Response, Refused> {
    if app.only_looks {
        let why = "this watch changes nothing: it was started with --dry-run";
        return Err(Refused(StatusCode::CONFLICT, why.to_owned()));
    }
    let limit = Limit::of(app);
    if body.size_hint().lower() > limit.most() {
        return Err(limit.refused());
    }
    let folder = &app.programs.folder;
    fs::create_dir_all(folder).map_err(unwritten)?;
    let draft = Draft(folder.join(format!(".{}.new", Uuid::new_v4().simple())));
    let mut file = tokio::fs::File::create(&draft.0).await.map_err(unwritten)?;
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Refused(StatusCode::BAD_REQUEST, format!("the body: {error}")))?;
        size += piece.len() as u64;
        if size > limit.most() {
            return Err(limit.refused());
        }
        hasher.update(&piece);
        file.write_all(&piece).await.map_err(unwritten)?;
    }
    if size == 0 {
        return Err(Refused(StatusCode::BAD_REQUEST, "the program is empty".to_owned()));
    }
    file.sync_all().await.map_err(unwritten)?;
    let sha256 = hex::encode(hasher.finalize());
    if let Some(wanted) = wanted.filter(|wanted| *wanted != sha256) {
        let why = format!("what was sent has the SHA-256 {sha256}, and not {wanted}");
        return Err(Refused(StatusCode::BAD_REQUEST, why));
    }
    let is_new = app.programs.keep(&draft.0, &sha256)?;
    app.programs.uploaded.fetch_add(1, Ordering::Relaxed);
    let status = match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let program = look(&folder.join(&sha256), sha256.clone()).ok_or_else(|| missing(&sha256))?;
    Ok((status, Json(told(&program))).into_response())
}

pub(super) async fn forget(
    State(app): State<App>,
    extract::Path(sha256): extract::Path<String>,
) -> Result<StatusCode, Refused> {
    let path = app.programs.find(&sha256)?;
    fs::remove_file(path).map_err(unwritten)?;
    Ok(StatusCode::NO_CONTENT)
}
