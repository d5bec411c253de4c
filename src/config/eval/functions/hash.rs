//! Digests and unique names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use simfleet_provider_api::Value;
use uuid::Uuid;

use super::file::read_each;
use super::{Arguments, Call, Function, Outcome, Problem, string};
use crate::config::moment::UUID;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::plain("base64sha256", &[string("str")], |args, _| {
        base64::<Sha256>(args.text(0).as_bytes())
    }),
    Function::plain("base64sha512", &[string("str")], |args, _| {
        base64::<Sha512>(args.text(0).as_bytes())
    }),
    Function::plain("filebase64sha256", &[string("path")], |args, call| {
        Ok(STANDARD.encode(file::<Sha256>(args, call)?).into())
    }),
    Function::plain("filebase64sha512", &[string("path")], |args, call| {
        Ok(STANDARD.encode(file::<Sha512>(args, call)?).into())
    }),
    Function::plain("filemd5", &[string("path")], |args, call| {
        Ok(::hex::encode(file::<Md5>(args, call)?).into())
    }),
    Function::plain("filesha1", &[string("path")], |args, call| {
        Ok(::hex::encode(file::<Sha1>(args, call)?).into())
    }),
    Function::plain("filesha256", &[string("path")], |args, call| {
        Ok(::hex::encode(file::<Sha256>(args, call)?).into())
    }),
    Function::plain("filesha512", &[string("path")], |args, call| {
        Ok(::hex::encode(file::<Sha512>(args, call)?).into())
    }),
    Function::plain("md5", &[string("str")], |args, _| hex::<Md5>(args.text(0).as_bytes())),
    Function::plain("sha1", &[string("str")], |args, _| hex::<Sha1>(args.text(0).as_bytes())),
    Function::plain("sha256", &[string("str")], |args, _| {
        hex::<Sha256>(args.text(0).as_bytes())
    }),
    Function::plain("sha512", &[string("str")], |args, _| {
        hex::<Sha512>(args.text(0).as_bytes())
    }),
    Function::plain("uuid", &[], uuid),
    Function::plain("uuidv5", &[string("namespace"), string("name")], uuidv5),
];

fn hex<D: Digest>(bytes: &[u8]) -> Outcome {
    Ok(::hex::encode(D::digest(bytes)).into())
}

fn base64<D: Digest>(bytes: &[u8]) -> Outcome {
    Ok(STANDARD.encode(D::digest(bytes)).into())
}

/// Digests a file without holding all of it, so that it can be a disk image.
fn file<D: Digest>(args: &[Value], call: &Call<'_>) -> Result<impl AsRef<[u8]>, Problem> {
    let mut digest = D::new();
    read_each(args, call, |part| digest.update(part))?;
    Ok(digest.finalize())
}

/// A random one, so it is not known before it is applied.
fn uuid(_: &[Value], call: &Call<'_>) -> Outcome {
    let made = call.scope.uuid(&call.span(), call.budget.next_uuid());
    Ok(made.map_or_else(|| Value::unknown(UUID), |uuid| uuid.to_string().into()))
}

fn uuidv5(args: &[Value], _: &Call<'_>) -> Outcome {
    let namespace = match args.text(0) {
        "dns" => Uuid::NAMESPACE_DNS,
        "url" => Uuid::NAMESPACE_URL,
        "oid" => Uuid::NAMESPACE_OID,
        "x500" => Uuid::NAMESPACE_X500,
        text => Uuid::parse_str(text)
            .map_err(|_| Problem::Argument(0, "it must be a UUID, or one of dns, url, oid and x500".into()))?,
    };
    Ok(Uuid::new_v5(&namespace, args.text(1).as_bytes()).to_string().into())
}
