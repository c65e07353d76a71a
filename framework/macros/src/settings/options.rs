//! What `#[settings(...)]` says about a struct, and `#[setting(...)]` about a field.

use crate::errors::Errors;
use proc_macro2::Ident;
use syn::{Attribute, Expr, LitInt, LitStr, Path, meta::ParseNestedMeta};

#[derive(Default)]
pub(super) struct StructOptions {
    /// Looks at all settings together.
    pub(super) check: Option<Path>,
    /// The fields are public, so nobody needs methods to set them.
    pub(super) no_builders: bool,
    /// The type that has the methods: one that keeps this struct.
    pub(super) builders_on: Option<Path>,
    /// Its method that changes this struct.
    pub(super) by: Option<Ident>,
}

#[derive(Default)]
pub(super) struct FieldOptions {
    pub(super) key: Option<String>,
    pub(super) default: Option<Expr>,
    /// The constructor gives it.
    pub(super) given: bool,
    /// No setting.
    pub(super) skip: bool,
    /// Settings of its own.
    pub(super) flatten: bool,
    /// In bytes.
    pub(super) size: bool,
    pub(super) min: Option<LitInt>,
    pub(super) max: Option<LitInt>,
    /// The word for `None`.
    pub(super) none: Option<LitStr>,
    /// A module with `read` and `show`.
    pub(super) with: Option<Path>,
    /// Looks at its value.
    pub(super) check: Option<Path>,
    /// Another name for the method.
    pub(super) builder: Option<LitStr>,
    /// Its method is written by hand.
    pub(super) no_builder: bool,
}

const FIELD_OPTIONS: &str = "`default`, `key`, `given`, `skip`, `flatten`, `size`, `min`, `max`, `none`, `with`, `check`, `builder`, `no_builder`";

impl StructOptions {
    pub(super) fn read(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut options = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("settings")) {
            errors.keep(attribute.parse_nested_meta(|option| {
                match &*name(&option) {
                    "check" => options.check = Some(option.value()?.parse()?),
                    "no_builders" => options.no_builders = true,
                    "builders_on" => options.builders_on = Some(option.value()?.parse()?),
                    "by" => options.by = Some(option.value()?.parse()?),
                    _ => {
                        return Err(option.error(
                            "unknown option of `#[settings]`: allowed are `check`, `no_builders`, `builders_on`, `by`",
                        ));
                    }
                }
                Ok(())
            }));
        }
        options
    }
}

impl FieldOptions {
    pub(super) fn read(attributes: &[Attribute], errors: &mut Errors) -> Self {
        let mut options = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("setting")) {
            errors.keep(attribute.parse_nested_meta(|option| options.read_one(&option)));
            if options.skip && (options.flatten || options.key.is_some() || options.check.is_some()) {
                errors.at(attribute, "`skip` says that this is not a setting: leave out its other options");
            }
            if options.given && options.default.is_some() {
                errors.at(attribute, "the constructor gives a `given` setting, so it has no default");
            }
            if options.size && options.with.is_some() {
                errors.at(attribute, "a setting is read in one way: `size` or `with`");
            }
        }
        options
    }

    fn read_one(&mut self, option: &ParseNestedMeta<'_>) -> syn::Result<()> {
        match &*name(option) {
            "default" => self.default = Some(option.value()?.parse()?),
            "key" => self.key = Some(option.value()?.parse::<LitStr>()?.value()),
            "given" => self.given = true,
            "skip" => self.skip = true,
            "flatten" => self.flatten = true,
            "size" => self.size = true,
            "min" => self.min = Some(option.value()?.parse()?),
            "max" => self.max = Some(option.value()?.parse()?),
            "none" => self.none = Some(option.value()?.parse()?),
            "with" => self.with = Some(option.value()?.parse()?),
            "check" => self.check = Some(option.value()?.parse()?),
            "builder" => self.builder = Some(option.value()?.parse()?),
            "no_builder" => self.no_builder = true,
            _ => return Err(option.error(format!("unknown option of `#[setting]`: allowed are {FIELD_OPTIONS}"))),
        }
        Ok(())
    }
}

fn name(option: &ParseNestedMeta<'_>) -> String {
    option.path.get_ident().map(ToString::to_string).unwrap_or_default()
}
