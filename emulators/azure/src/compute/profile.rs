//! The operating system of a machine: its user, its keys, its data.

use serde_json::{Map, Value, json};

use crate::compute::machine::{take_base64, unchangeable};
use crate::message::{ArmError, Result};
use crate::resource::{Resource, default, items, object, text};

/// Users that Azure does not let anybody be.
const RESERVED: [&str; 8] = [
    "root",
    "admin",
    "administrator",
    "guest",
    "test",
    "user",
    "owner",
    "server",
];

/// Checks an OS profile and fills it in. Returns what is given to the first boot.
pub(crate) fn make_os(
    profile: &mut Map<String, Value>,
    old: Option<&Map<String, Value>>,
    existing: Option<&Resource>,
    name: &str,
) -> Result<Option<String>> {
    let custom_data = take_base64(profile, "customData")?;
    if let (Some(existing), Some(_)) = (existing, &custom_data)
        && existing.custom_data != custom_data
    {
        return Err(unchangeable("osProfile.customData"));
    }
    for (name, value) in old.into_iter().flatten() {
        default(profile, name, value.clone());
    }
    default(profile, "computerName", json!(name));
    check_profile(profile)?;
    for member in ["computerName", "adminUsername"] {
        if old.is_some_and(|old| text(old, member) != text(profile, member)) {
            return Err(unchangeable(&format!("osProfile.{member}")));
        }
    }
    if let Some(old) = old
        && keys(old) != keys(profile)
    {
        return Err(unchangeable("linuxConfiguration.ssh.publicKeys"));
    }
    default(profile, "secrets", json!([]));
    default(profile, "allowExtensionOperations", json!(true));
    default(profile, "requireGuestProvisionSignal", json!(true));
    Ok(custom_data)
}

/// Checks user, password and keys, of a machine or of the instances of a set, and fills in the Linux part.
pub(crate) fn check_profile(profile: &mut Map<String, Value>) -> Result<()> {
    let computer = text(profile, "computerName")
        .or(text(profile, "computerNamePrefix"))
        .unwrap_or_default();
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if computer.is_empty()
        || computer.len() > 64
        || !computer.chars().all(valid)
        || computer.chars().all(|c| c.is_ascii_digit())
    {
        return Err(ArmError::parameter(
            "linuxConfiguration.computerName",
            format!(
                "Linux host name '{computer}' cannot exceed 64 characters in length, be entirely numeric, or contain characters \
                 other than letters, digits, periods and hyphens."
            ),
        ));
    }
    let user = text(profile, "adminUsername").unwrap_or_default().to_owned();
    if user.is_empty() {
        return Err(ArmError::parameter(
            "osProfile.adminUsername",
            "Required parameter 'osProfile.adminUsername' is missing (null).",
        ));
    }
    if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(&user)) {
        return Err(ArmError::parameter(
            "adminUsername",
            "The Admin Username specified is not allowed.",
        ));
    }
    let password = text(profile, "adminPassword").is_some();
    if profile.contains_key("windowsConfiguration") {
        return Ok(());
    }
    let linux = object(profile, "linuxConfiguration");
    let keys_only = linux.get("disablePasswordAuthentication") == Some(&json!(true));
    let ssh = linux.get("ssh").and_then(Value::as_object);
    let has_keys = ssh.is_some_and(|ssh| items(ssh, "publicKeys").next().is_some());
    if keys_only && !has_keys {
        return Err(ArmError::parameter(
            "linuxConfiguration.ssh.publicKeys",
            "Authentication using either SSH or by user name and password must be enabled in Linux profile. Destination path for SSH \
             public keys is missing.",
        ));
    }
    if !keys_only && !password && !has_keys {
        return Err(ArmError::parameter(
            "linuxConfiguration",
            "Authentication using either SSH or by user name and password must be enabled in Linux profile.",
        ));
    }
    for key in ssh.into_iter().flat_map(|ssh| items(ssh, "publicKeys")) {
        let path = text(key, "path").unwrap_or_default();
        if path != format!("/home/{user}/.ssh/authorized_keys") {
            return Err(ArmError::parameter(
                "linuxConfiguration.ssh.publicKeys.path",
                format!(
                    "Destination path for SSH public keys is currently limited to its default value /home/{user}/.ssh/authorized_keys  due to a known issue in Linux provisioning agent."
                ),
            ));
        }
        let data = text(key, "keyData").unwrap_or_default();
        let known = ["ssh-rsa ", "ssh-ed25519 "].iter().any(|kind| data.starts_with(kind));
        if !known || data.split_whitespace().nth(1).is_none_or(|encoded| encoded.len() < 20) {
            return Err(ArmError::parameter(
                "linuxConfiguration.ssh.publicKeys.keyData",
                "The value of parameter linuxConfiguration.ssh.publicKeys.keyData is invalid.",
            ));
        }
    }
    default(linux, "disablePasswordAuthentication", json!(false));
    default(linux, "provisionVMAgent", json!(true));
    default(linux, "patchSettings", json!({}));
    let patch = object(linux, "patchSettings");
    default(patch, "patchMode", json!("ImageDefault"));
    default(patch, "assessmentMode", json!("ImageDefault"));
    Ok(())
}

fn keys(profile: &Map<String, Value>) -> Option<&Value> {
    profile.get("linuxConfiguration")?.get("ssh")?.get("publicKeys")
}
