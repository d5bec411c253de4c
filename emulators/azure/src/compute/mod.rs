//! `Microsoft.Compute`: disks, virtual machines, scale sets.

pub(crate) mod cascade;
pub(crate) mod disk;
pub(crate) mod instances;
pub(crate) mod machine;
pub(crate) mod power;
pub(crate) mod profile;
pub(crate) mod scale_set;
pub(crate) mod size;
pub(crate) mod together;
pub(crate) mod zones;
