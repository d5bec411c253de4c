//! Text.

use regex::{Captures, Regex};
use simfleet_provider_api::Value;
use unicode_segmentation::UnicodeSegmentation;

use super::{Arguments, Call, Function, Outcome, Problem, number, string, strings};

pub(super) static FUNCTIONS: &[Function] = &[
    Function::plain("chomp", &[string("str")], |args, _| {
        Ok(args.text(0).trim_end_matches(['\n', '\r']).into())
    }),
    Function::plain("endswith", &[string("str"), string("suffix")], |args, _| {
        Ok(args.text(0).ends_with(args.text(1)).into())
    }),
    Function::plain("indent", &[number("spaces"), string("str")], indent),
    Function::plain("join", &[string("separator")], join).and(strings("lists")),
    Function::plain("lower", &[string("str")], |args, _| {
        // Letter by letter, as Go does: `ß` has no upper case of one letter, and stays.
        Ok(args.text(0).chars().map(lower).collect::<String>().into())
    }),
    Function::plain("regex", &[string("pattern"), string("string")], regex),
    Function::plain("regexall", &[string("pattern"), string("string")], regexall),
    Function::plain(
        "replace",
        &[string("str"), string("substr"), string("replace")],
        replace,
    ),
    Function::plain("sort", &[strings("list")], sort),
    Function::plain("split", &[string("separator"), string("str")], split),
    Function::plain("startswith", &[string("str"), string("prefix")], |args, _| {
        Ok(args.text(0).starts_with(args.text(1)).into())
    }),
    Function::plain("strcontains", &[string("str"), string("substr")], |args, _| {
        Ok(args.text(0).contains(args.text(1)).into())
    }),
    Function::plain("strrev", &[string("str")], |args, _| {
        Ok(args.text(0).graphemes(true).rev().collect::<String>().into())
    }),
    Function::plain("substr", &[string("str"), number("offset"), number("length")], substr),
    Function::plain("title", &[string("str")], title),
    Function::plain("trim", &[string("str"), string("cutset")], |args, _| {
        let cut: Vec<char> = args.text(1).chars().collect();
        Ok(args.text(0).trim_matches(cut.as_slice()).into())
    }),
    Function::plain("trimprefix", &[string("str"), string("prefix")], |args, _| {
        let text = args.text(0);
        Ok(text.strip_prefix(args.text(1)).unwrap_or(text).into())
    }),
    Function::plain("trimspace", &[string("str")], |args, _| Ok(args.text(0).trim().into())),
    Function::plain("trimsuffix", &[string("str"), string("suffix")], |args, _| {
        let text = args.text(0);
        Ok(text.strip_suffix(args.text(1)).unwrap_or(text).into())
    }),
    Function::plain("upper", &[string("str")], |args, _| {
        Ok(args.text(0).chars().map(upper).collect::<String>().into())
    }),
];

fn lower(char: char) -> char {
    char.to_lowercase().next().unwrap_or(char)
}

fn upper(char: char) -> char {
    let mut upper = char.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => char,
    }
}

fn indent(args: &[Value], call: &Call<'_>) -> Outcome {
    let text = args.text(1);
    let spaces = usize::try_from(args.whole(0)?).map_err(|_| Problem::Argument(0, "it must not be negative".into()))?;
    call.charge((spaces as u64).saturating_mul(text.matches('\n').count() as u64))?;
    Ok(text.replace('\n', &format!("\n{}", " ".repeat(spaces))).into())
}

fn join(args: &[Value], call: &Call<'_>) -> Outcome {
    let separator = args.text(0);
    if args.len() < 2 {
        return Err("it needs at least one list".into());
    }
    let mut parts = Vec::new();
    let mut size = 0u64;
    for (i, list) in args.iter().enumerate().skip(1) {
        for item in list.as_slice().unwrap_or_default() {
            let Some(text) = item.as_str() else {
                return Err(Problem::Argument(i, "its elements must not be null".into()));
            };
            size += (separator.len() + text.len()) as u64;
            parts.push(text);
        }
    }
    call.charge(size / 8)?;
    Ok(parts.join(separator).into())
}

fn split(args: &[Value], _: &Call<'_>) -> Outcome {
    let (separator, text) = (args.text(0), args.text(1));
    if separator.is_empty() {
        return Ok(Value::list(text.graphemes(true).map(Value::from)));
    }
    Ok(Value::list(text.split(separator).map(Value::from)))
}

fn sort(args: &[Value], _: &Call<'_>) -> Outcome {
    let items = args.items(0);
    if items.iter().any(Value::is_null) {
        return Err(Problem::Argument(0, "its elements must not be null".into()));
    }
    let mut items = items.to_vec();
    items.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    Ok(Value::list(items))
}

/// Counts characters as people do: an `e` with an accent is one, however it is encoded.
fn substr(args: &[Value], _: &Call<'_>) -> Outcome {
    let text = args.text(0);
    let (offset, length) = (args.whole(1)?, args.whole(2)?);
    let offset = match offset {
        0.. => offset,
        _ => (offset + text.graphemes(true).count() as i64).max(0),
    };
    let rest = text.graphemes(true).skip(usize::try_from(offset).unwrap_or(usize::MAX));
    Ok(match usize::try_from(length) {
        Ok(length) => rest.take(length).collect::<String>(),
        Err(_) => rest.collect(),
    }
    .into())
}

/// Makes the first letter of each word a capital.
fn title(args: &[Value], _: &Call<'_>) -> Outcome {
    let mut out = String::with_capacity(args.text(0).len());
    let mut in_word = false;
    for char in args.text(0).chars() {
        if in_word {
            out.push(char);
        } else {
            out.extend(char.to_uppercase());
        }
        in_word = char.is_alphanumeric() || char == '_' || !(char.is_ascii() || char.is_whitespace());
    }
    Ok(out.into())
}

fn compile(pattern: &str, index: usize) -> Result<Regex, Problem> {
    regex::RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| Problem::Argument(index, format!("it is not a regular expression: {error}")))
}

/// A match: the whole text, or what the groups hold; by name where they have names.
fn matched(regex: &Regex, captures: &Captures<'_>) -> Outcome {
    let group = |i: usize| captures.get(i).map_or(Value::NULL, |group| group.as_str().into());
    if regex.captures_len() == 1 {
        return Ok(group(0));
    }
    let names: Vec<_> = regex.capture_names().skip(1).collect();
    let named = names.iter().filter(|name| name.is_some()).count();
    if named == 0 {
        return Ok(Value::tuple((1..regex.captures_len()).map(group)));
    }
    if named < names.len() {
        return Err(Problem::Argument(0, "either all groups have a name, or none".into()));
    }
    let fields = names
        .iter()
        .enumerate()
        .filter_map(|(i, name)| Some(((*name)?, group(i + 1))));
    Ok(Value::object(fields))
}

fn regex(args: &[Value], _: &Call<'_>) -> Outcome {
    let regex = compile(args.text(0), 0)?;
    match regex.captures(args.text(1)) {
        Some(captures) => matched(&regex, &captures),
        None => Err("the pattern matches nothing in the string".into()),
    }
}

fn regexall(args: &[Value], call: &Call<'_>) -> Outcome {
    let regex = compile(args.text(0), 0)?;
    let mut found = Vec::new();
    for captures in regex.captures_iter(args.text(1)) {
        call.charge(regex.captures_len() as u64)?;
        found.push(matched(&regex, &captures)?);
    }
    Ok(Value::list(found))
}

/// A pattern between slashes is a regular expression.
fn replace(args: &[Value], call: &Call<'_>) -> Outcome {
    let (text, pattern, by) = (args.text(0), args.text(1), args.text(2));
    let regex = match pattern.strip_prefix('/').and_then(|pattern| pattern.strip_suffix('/')) {
        Some(pattern) => compile(pattern, 1)?,
        None => {
            let count = if pattern.is_empty() {
                text.len() + 1
            } else {
                text.matches(pattern).count()
            };
            call.charge((count as u64).saturating_mul(by.len() as u64) / 8)?;
            return Ok(text.replace(pattern, by).into());
        }
    };
    // A replacement can name a group often, so the result can be of the size of the text times that.
    let mut out = String::new();
    let mut last = 0;
    for captures in regex.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(text.get(last..whole.start()).unwrap_or_default());
        let before = out.len();
        call.charge(by.len() as u64 / 8 + 1)?;
        captures.expand(by, &mut out);
        call.charge((out.len() - before) as u64 / 8)?;
        last = whole.end();
    }
    out.push_str(text.get(last..).unwrap_or_default());
    Ok(out.into())
}
