//! Files and paths. Relative paths start at the folder of the fleet or module.

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hcl_edit::template::Template;
use simfleet_provider_api::Value;

use super::{Arguments, Call, Function, Outcome, Problem, any, string};
use crate::config::eval::evaluator::{Evaluator, syntax_error};
use crate::config::nesting;
use crate::diagnostic::SourceFile;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::plain("abspath", &[string("path")], |args, call| {
        Ok(shown(&absolute(args.text(0), call)).into())
    }),
    Function::plain("basename", &[string("path")], |args, _| {
        Ok(basename(args.text(0)).into())
    }),
    Function::plain("dirname", &[string("path")], |args, _| Ok(dirname(args.text(0)).into())),
    Function::plain("file", &[string("path")], file),
    Function::plain("filebase64", &[string("path")], |args, call| {
        Ok(STANDARD.encode(read(args, call)?).into())
    }),
    Function::plain("fileexists", &[string("path")], fileexists),
    Function::plain("fileset", &[string("path"), string("pattern")], fileset),
    Function::plain("pathexpand", &[string("path")], |args, call| {
        Ok(shown(&expand(args.text(0), call)?).into())
    }),
    Function::elements("templatefile", &[string("path"), any("vars")], templatefile),
    Function::elements("templatestring", &[string("template"), any("vars")], templatestring),
];

/// How large a file may be that an expression reads: it is held in memory.
const MAX_FILE: u64 = 64 << 20;

/// How many files `fileset` looks at.
const MAX_FILES: usize = 100_000;

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Replaces a leading `~` by the home folder.
fn expand(path: &str, call: &Call<'_>) -> Result<PathBuf, Problem> {
    let home = || call.scope.environment("HOME").filter(|home| !home.is_empty());
    Ok(match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => match home() {
            Some(home) => Path::new(&home).join(rest.trim_start_matches('/')),
            None => path.into(),
        },
        Some(_) => return Err("the home folders of other users are not known; write the path out".into()),
        None => path.into(),
    })
}

fn resolve(path: &str, call: &Call<'_>) -> Result<PathBuf, Problem> {
    Ok(call.scope.folder().join(expand(path, call)?))
}

/// Returns the path without `.` and `..`, from the root.
fn absolute(path: &str, call: &Call<'_>) -> PathBuf {
    let path = call.scope.folder().join(path);
    let path = std::path::absolute(&path).unwrap_or(path);
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(clean.pop()),
            component => clean.push(component),
        }
    }
    clean
}

fn basename(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match (path, trimmed) {
        ("", _) => ".",
        (_, "") => "/",
        _ => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

fn dirname(path: &str) -> String {
    let folder = match path.rsplit_once('/') {
        Some((folder, _)) => folder,
        None => return ".".to_owned(),
    };
    let mut clean = PathBuf::new();
    for component in Path::new(if folder.is_empty() { "/" } else { folder }).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if clean.file_name().is_some_and(|name| name != "..") => drop(clean.pop()),
            Component::ParentDir if clean.has_root() => {}
            component => clean.push(component),
        }
    }
    match clean.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => shown(&clean),
    }
}

/// Reads the file that the first argument names, piece by piece.
pub(super) fn read_each(args: &[Value], call: &Call<'_>, mut each: impl FnMut(&[u8])) -> Result<(), Problem> {
    let path = resolve(args.text(0), call)?;
    let problem = |error: std::io::Error| {
        let detail = match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no file `{}`", path.display()),
            _ => format!("cannot read `{}`: {error}", path.display()),
        };
        Problem::Argument(0, detail)
    };
    // Pipes and devices may have no end.
    if !std::fs::metadata(&path).map_err(problem)?.is_file() {
        return Err(Problem::Argument(0, format!("`{}` is not a file", path.display())));
    }
    let mut file = std::fs::File::open(&path).map_err(problem)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer).map_err(problem)? {
            0 => return Ok(()),
            read => each(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// Reads the whole file that the first argument names.
fn read(args: &[Value], call: &Call<'_>) -> Result<Vec<u8>, Problem> {
    let path = resolve(args.text(0), call)?;
    if std::fs::metadata(&path).is_ok_and(|found| found.len() > MAX_FILE) {
        let detail = format!("`{}` is larger than {} MiB", path.display(), MAX_FILE >> 20);
        return Err(Problem::Argument(0, detail));
    }
    let mut bytes = Vec::new();
    read_each(args, call, |part| bytes.extend_from_slice(part))?;
    Ok(bytes)
}

fn read_text(args: &[Value], call: &Call<'_>) -> Result<String, Problem> {
    String::from_utf8(read(args, call)?).map_err(|_| {
        let detail = format!("`{}` is not UTF-8 text; `filebase64` reads any file", args.text(0));
        Problem::Argument(0, detail)
    })
}

fn file(args: &[Value], call: &Call<'_>) -> Outcome {
    Ok(read_text(args, call)?.into())
}

fn fileexists(args: &[Value], call: &Call<'_>) -> Outcome {
    let path = resolve(args.text(0), call)?;
    match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => Err(Problem::Argument(
            0,
            format!("`{}` is a folder, not a file", path.display()),
        )),
        Ok(_) => Ok(true.into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false.into()),
        Err(error) => Err(Problem::Argument(
            0,
            format!("cannot look at `{}`: {error}", path.display()),
        )),
    }
}

fn fileset(args: &[Value], call: &Call<'_>) -> Outcome {
    let root = resolve(args.text(0), call)?;
    let pattern = glob(args.text(1))?;
    let mut found = Vec::new();
    let mut seen = 0;
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        // A folder that is missing has no files; one that cannot be read neither, as in Terraform.
        let Ok(entries) = std::fs::read_dir(root.join(&folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            seen += 1;
            if seen > MAX_FILES {
                return Err(format!("there are more than {MAX_FILES} files below `{}`", root.display()).into());
            }
            let path = folder.join(entry.file_name());
            // Links to folders are not followed: they can go round in circles.
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(path);
            } else if std::fs::metadata(root.join(&path)).is_ok_and(|found| found.is_file()) {
                let name = shown(&path);
                if pattern.is_match(&name) {
                    found.push(Value::from(name));
                }
            }
        }
    }
    Ok(Value::set(found))
}

/// Makes a pattern of file names (`*`, `**`, `?`, `{a,b}`, `[abc]`) a regular expression.
fn glob(pattern: &str) -> Result<regex::Regex, Problem> {
    let problem = || Problem::Argument(1, "it is not a valid pattern of file names".to_owned());
    let mut out = String::from("(?s)^");
    let mut chars = pattern.chars().peekable();
    let mut braces = 0;
    while let Some(char) = chars.next() {
        match char {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                match chars.peek() {
                    Some('/') => {
                        chars.next();
                        out.push_str("(?:.*/)?");
                    }
                    _ => out.push_str(".*"),
                }
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '{' => {
                braces += 1;
                out.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                out.push(')');
            }
            ',' if braces > 0 => out.push('|'),
            '[' => {
                out.push('[');
                if matches!(chars.peek(), Some('!' | '^')) {
                    chars.next();
                    out.push('^');
                }
                loop {
                    match chars.next() {
                        Some(']') => break,
                        Some('-') => out.push('-'),
                        Some(char) => out.push_str(&regex::escape(char.encode_utf8(&mut [0; 4]))),
                        None => return Err(problem()),
                    }
                }
                out.push(']');
            }
            '\\' => match chars.next() {
                Some(char) => out.push_str(&regex::escape(char.encode_utf8(&mut [0; 4]))),
                None => return Err(problem()),
            },
            char => out.push_str(&regex::escape(char.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    regex::RegexBuilder::new(&out)
        .size_limit(1 << 20)
        .build()
        .map_err(|_| problem())
}

fn templatefile(args: &[Value], call: &Call<'_>) -> Outcome {
    if call.in_template {
        return Err("a template file cannot use other template files".into());
    }
    let file = Arc::new(SourceFile {
        path: resolve(args.text(0), call)?,
        text: read_text(args, call)?,
    });
    render(file, args, call)
}

/// Renders a text that is a template; the evaluator has seen that it is no literal.
fn templatestring(args: &[Value], call: &Call<'_>) -> Outcome {
    if call.in_template {
        return Err("a template cannot use other templates".into());
    }
    let file = Arc::new(SourceFile {
        path: "<template>".into(),
        text: args.text(0).to_owned(),
    });
    render(file, args, call)
}

fn render(file: Arc<SourceFile>, args: &[Value], call: &Call<'_>) -> Outcome {
    let variables = args.get(1).unwrap_or(&Value::NULL);
    if variables.as_fields().is_none() {
        return Err(Problem::Argument(1, "the variables must be a map or object".into()));
    }
    nesting::check_template(&file).map_err(|error| Problem::Template(vec![error]))?;
    let template: Template = file
        .text
        .parse()
        .map_err(|error| Problem::Template(vec![syntax_error(&error, &file)]))?;
    Evaluator::of_template(call.scope, &file, variables, call.budget)
        .run_template(&template)
        .map_err(Problem::Template)
}
