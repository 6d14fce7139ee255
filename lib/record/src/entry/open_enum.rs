//! Words of which a newer writer may know more than this reader.

/// An enum whose variants have a text each: as in entries, in metrics and in answers.
macro_rules! named_enum {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$doc:meta])* $variant:ident = $text:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: [$name; [$($text),+].len()] = [$($name::$variant),+];

            /// As in entries.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }
        }

        impl $crate::entry::Named for $name {
            const ALL: &'static [$name] = &$name::ALL;

            fn name(self) -> &'static str {
                $name::name(self)
            }
        }
    };
}
pub(super) use named_enum;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// Words with a fixed text each.
pub trait Named: Copy + PartialEq + Sized + 'static {
    /// All that are known here.
    const ALL: &'static [Self];

    /// As in entries.
    fn name(self) -> &'static str;

    /// The one of this name.
    #[must_use]
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }
}

/// A word that is known here, or the text of another one: kept and shown as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OpenEnum<T> {
    /// One of ours.
    Known(T),
    /// A newer writer's.
    Other(String),
}

impl<T: Named> OpenEnum<T> {
    /// As in entries.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            OpenEnum::Known(known) => known.name(),
            OpenEnum::Other(text) => text,
        }
    }

    /// `None` if it is not known here.
    #[must_use]
    pub fn known(&self) -> Option<T> {
        match self {
            OpenEnum::Known(known) => Some(*known),
            OpenEnum::Other(_) => None,
        }
    }
}

/// No word at all.
impl<T> Default for OpenEnum<T> {
    fn default() -> OpenEnum<T> {
        OpenEnum::Other(String::new())
    }
}

impl<T> From<T> for OpenEnum<T> {
    fn from(known: T) -> OpenEnum<T> {
        OpenEnum::Known(known)
    }
}

impl<T: Named> PartialEq<T> for OpenEnum<T> {
    fn eq(&self, other: &T) -> bool {
        matches!(self, OpenEnum::Known(known) if known == other)
    }
}

impl<T: Named> Serialize for OpenEnum<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de, T: Named> Deserialize<'de> for OpenEnum<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(match T::from_name(&text) {
            Some(known) => OpenEnum::Known(known),
            None => OpenEnum::Other(text.into_owned()),
        })
    }
}
