//! `format` and `formatlist`.

use simfleet_provider_api::{Number, Type, Value, convert, json};

use super::{Arguments, Call, Function, Outcome, Problem, any, string};

pub(super) static FUNCTIONS: &[Function] = &[
    Function::plain("format", &[string("format")], |args, call| {
        let values: Vec<&Value> = args.iter().skip(1).collect();
        format(args.text(0), &values, call).map(Value::from)
    })
    .and(any("args").nullable()),
    Function::plain("formatlist", &[string("format")], formatlist).and(any("args").nullable()),
];

/// How wide a field may be, and how many digits it may have.
const MAX_WIDTH: usize = 4096;

/// One verb with its flags: `%-5.2f`.
#[derive(Debug, Default)]
struct Verb {
    minus: bool,
    plus: bool,
    space: bool,
    zero: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

fn formatlist(args: &[Value], call: &Call<'_>) -> Outcome {
    let values = args.get(1..).unwrap_or_default();
    let mut length = None;
    for (i, value) in values.iter().enumerate() {
        let Some(items) = value.as_slice() else { continue };
        match length {
            None => length = Some(items.len()),
            Some(length) if length != items.len() => {
                let detail = format!("it has {} elements, but a list before it has {length}", items.len());
                return Err(Problem::Argument(i + 1, detail));
            }
            Some(_) => {}
        }
    }
    let mut lines = Vec::new();
    for i in 0..length.unwrap_or(1) {
        let row: Vec<&Value> = values
            .iter()
            .map(|value| {
                value
                    .as_slice()
                    .map_or(value, |items| items.get(i).unwrap_or(&Value::NULL))
            })
            .collect();
        lines.push(Value::from(format(args.text(0), &row, call)?));
    }
    Ok(Value::list(lines))
}

fn format(text: &str, values: &[&Value], call: &Call<'_>) -> Result<String, Problem> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut next = 0;
    let mut used = 0;
    while let Some((literal, after)) = rest.split_once('%') {
        out.push_str(literal);
        let (mut verb, index, after) = flags(after)?;
        let mut chars = after.chars();
        let Some(name) = chars.next() else {
            return Err("the format ends in the middle of a verb".into());
        };
        rest = chars.as_str();
        if name == '%' {
            out.push('%');
            continue;
        }
        let position = index.unwrap_or(next);
        let Some(value) = values.get(position) else {
            return Err(format!(
                "`%{name}` needs an argument {}, but there are {}",
                position + 1,
                values.len()
            )
            .into());
        };
        next = position + 1;
        used = used.max(next);
        call.charge(verb.width.unwrap_or(0) as u64 / 8 + 1)?;
        let before = out.len();
        verb.write(name, value, position, &mut out)?;
        call.charge((out.len() - before) as u64 / 8)?;
    }
    out.push_str(rest);
    // A format that names its arguments by number may leave some out.
    if used < values.len() && !text.contains("%[") {
        return Err(Problem::Argument(
            used + 1,
            format!("the format uses only {used} arguments"),
        ));
    }
    Ok(out)
}

/// Reads what stands between `%` and the letter: flags, width, precision, `[number]`.
fn flags(text: &str) -> Result<(Verb, Option<usize>, &str), Problem> {
    let mut verb = Verb::default();
    let mut rest = text;
    loop {
        let mut chars = rest.chars();
        match chars.next() {
            Some('-') => verb.minus = true,
            Some('+') => verb.plus = true,
            Some(' ') => verb.space = true,
            Some('0') => verb.zero = true,
            Some('#') => verb.sharp = true,
            _ => break,
        }
        rest = chars.as_str();
    }
    let (width, after) = digits(rest)?;
    verb.width = width;
    rest = after;
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = digits(after)?;
        verb.precision = Some(precision.unwrap_or(0));
        rest = after;
    }
    let mut index = None;
    if let Some(after) = rest.strip_prefix('[') {
        let (number, after) = digits(after)?;
        let number = number.and_then(|number| number.checked_sub(1));
        let (Some(number), Some(after)) = (number, after.strip_prefix(']')) else {
            return Err("the number of an argument must be written as [1]".into());
        };
        index = Some(number);
        rest = after;
    }
    Ok((verb, index, rest))
}

fn digits(text: &str) -> Result<(Option<usize>, &str), Problem> {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    match digits.parse() {
        Ok(number) if number <= MAX_WIDTH => Ok((Some(number), rest)),
        _ => Err(format!("a width or precision must be at most {MAX_WIDTH}").into()),
    }
}

impl Verb {
    fn write(&mut self, name: char, value: &Value, position: usize, out: &mut String) -> Result<(), Problem> {
        let fit = |ty: &Type| {
            if value.is_null() && name != 'v' {
                return Err(Problem::Argument(
                    position + 1,
                    format!("it is null, which `%{name}` has no text for"),
                ));
            }
            convert(value, ty).map_err(|error| Problem::Argument(position + 1, format!("for `%{name}`: {error}")))
        };
        let name = match (name, value.data()) {
            ('v', simfleet_provider_api::Data::String(_)) if !self.sharp => 's',
            ('v', simfleet_provider_api::Data::Number(_)) => 'N',
            ('v', simfleet_provider_api::Data::Bool(_)) => 't',
            (name, _) => name,
        };
        match name {
            'v' => {
                let text = json::to_json(value).map_err(|error| Problem::Argument(position + 1, error.to_string()))?;
                self.pad(&text.to_string(), out);
            }
            's' | 'q' => {
                let value = fit(&Type::String)?;
                let text = value.as_str().unwrap_or_default();
                let text: String = match self.precision {
                    Some(precision) => text.chars().take(precision).collect(),
                    None => text.to_owned(),
                };
                let text = if name == 'q' {
                    serde_json::Value::from(text).to_string()
                } else {
                    text
                };
                self.pad(&text, out);
            }
            't' => {
                let value = fit(&Type::Bool)?;
                // Without padding, as in Terraform.
                out.push_str(if value.as_bool() == Some(true) { "true" } else { "false" });
            }
            'N' => {
                let value = fit(&Type::Number)?;
                let number = value.as_number().cloned().unwrap_or_else(|| 0i64.into());
                self.signed(&self.float(&number, 'g'), out);
            }
            'd' | 'b' | 'o' | 'x' | 'X' => {
                let value = fit(&Type::Number)?;
                let number = value.as_number().filter(|number| number.is_integer());
                let Some(number) = number else {
                    return Err(Problem::Argument(
                        position + 1,
                        format!("`%{name}` needs a whole number"),
                    ));
                };
                self.signed(&integer(number, name, self.sharp), out);
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                let value = fit(&Type::Number)?;
                let number = value.as_number().cloned().unwrap_or_else(|| 0i64.into());
                self.signed(&self.float(&number, name), out);
            }
            _ => return Err(format!("there is no verb `%{name}`").into()),
        }
        Ok(())
    }

    fn float(&self, number: &Number, name: char) -> String {
        let value = number.as_f64();
        let text = match name {
            'f' | 'F' => number.to_fixed(self.precision.unwrap_or(6) as u16),
            'e' | 'E' => exponent(&format!("{value:.*e}", self.precision.unwrap_or(6))),
            _ => match self.precision {
                Some(precision) => general(&format!("{value:.*e}", precision.max(1) - 1), precision.max(1) as i64),
                None => general(&scientific(number), 6),
            },
        };
        if name.is_ascii_uppercase() {
            text.to_ascii_uppercase()
        } else {
            text
        }
    }

    /// Writes a number: its sign, then zeros up to the width.
    fn signed(&self, text: &str, out: &mut String) {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None if self.plus => ("+", text),
            None if self.space => (" ", text),
            None => ("", text),
        };
        let length = sign.len() + digits.len();
        if self.zero && !self.minus {
            let zeros = self.width.unwrap_or(0).saturating_sub(length);
            out.push_str(sign);
            out.extend(std::iter::repeat_n('0', zeros));
            out.push_str(digits);
        } else {
            self.pad(&format!("{sign}{digits}"), out);
        }
    }

    fn pad(&self, text: &str, out: &mut String) {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        let fill = if self.zero && !self.minus { '0' } else { ' ' };
        if self.minus {
            out.push_str(text);
            out.extend(std::iter::repeat_n(' ', missing));
        } else {
            out.extend(std::iter::repeat_n(fill, missing));
            out.push_str(text);
        }
    }
}

fn integer(number: &Number, name: char, sharp: bool) -> String {
    let (base, prefix) = match name {
        'b' => (2, "0b"),
        'o' => (8, "0"),
        'x' => (16, "0x"),
        'X' => (16, "0X"),
        _ => return number.to_string(),
    };
    let digits = number.abs().to_str_radix(base);
    let digits = if name == 'X' {
        digits.to_ascii_uppercase()
    } else {
        digits
    };
    let sign = if number.is_negative() { "-" } else { "" };
    let prefix = if sharp { prefix } else { "" };
    format!("{sign}{prefix}{digits}")
}

/// Writes an exponent as others do: with a sign and two digits.
fn exponent(text: &str) -> String {
    match text.split_once('e') {
        Some((mantissa, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{mantissa}e-{exponent:0>2}"),
            None => format!("{mantissa}e+{exponent:0>2}"),
        },
        None => text.to_owned(),
    }
}

/// Returns all digits of a number, as a mantissa and an exponent.
fn scientific(number: &Number) -> String {
    let text = number.abs().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = format!("{whole}{fraction}");
    let zeros = digits.len() - digits.trim_start_matches('0').len();
    let digits = digits.trim_matches('0');
    let power = whole.len() as i64 - 1 - zeros as i64;
    let sign = if number.is_negative() { "-" } else { "" };
    match digits.split_at_checked(1) {
        Some((first, "")) => format!("{sign}{first}e{power}"),
        Some((first, rest)) => format!("{sign}{first}.{rest}e{power}"),
        None => "0e0".to_owned(),
    }
}

/// `%g`: plain digits for powers from -4 to the limit, an exponent for others.
fn general(scientific: &str, limit: i64) -> String {
    let (mantissa, power) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let power: i64 = power.parse().unwrap_or(0);
    let mantissa = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.'),
        false => mantissa,
    };
    if power < -4 || power >= limit {
        return exponent(&format!("{mantissa}e{power}"));
    }
    // Within few digits of the point, so this costs nothing.
    format!("{mantissa}e{power}")
        .parse::<Number>()
        .map_or_else(|_| mantissa.to_owned(), |number| number.to_string())
}
