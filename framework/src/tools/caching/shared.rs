//! The part of a caching tool that all paths share: the cache, and the settings that are the cache's.

use super::cache::{Cache, Limits};
use crate::settings::{Setting, SettingError, SettingRow, SettingValue, Settings, size};
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// The part that all paths of one caching tool share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) cache: Arc<Cache>,
    pub(super) tagging: RandomState,
    /// The bytes that copies of streams take now.
    pub(super) copying: Arc<AtomicUsize>,
    pub(super) is_swept: AtomicBool,
}

/// Limits of a cache unless others are set: CherryPy's.
pub(super) const LIMITS: Limits = Limits { objects: 1000, bytes: 10_000_000 };

impl Default for Shared {
    fn default() -> Self {
        Self {
            cache: Cache::new(LIMITS),
            tagging: RandomState::new(),
            copying: Arc::default(),
            is_swept: AtomicBool::new(false),
        }
    }
}

/// They are set in the cache at once, for any path: there is one cache.
impl Settings for Arc<Shared> {
    fn set_setting(&mut self, key: &str, value: &SettingValue) -> Option<Result<(), String>> {
        Some(match key {
            "max_objects" => usize::read(value).map(|count| self.cache.limit(|limits| limits.objects = count)),
            "max_size" => size::read(value).map(|bytes| self.cache.limit(|limits| limits.bytes = bytes)),
            _ => return None,
        })
    }

    fn setting_rows(&self) -> Vec<SettingRow> {
        let Limits { objects, bytes } = self.cache.limits();
        vec![
            SettingRow::new("max_objects", "The most responses that are kept, on all paths.", objects.show()),
            SettingRow::new(
                "max_size",
                "The most that is kept in all, on all paths: fields, addresses and bookkeeping included. What was used longest ago goes.",
                size::show(&bytes),
            ),
        ]
    }

    fn check_settings(&self) -> Result<(), SettingError> {
        match self.cache.limits().objects {
            0 => Err(SettingError::new("max_objects", "must be at least 1; to cache nothing, switch the tool off")),
            _ => Ok(()),
        }
    }
}
