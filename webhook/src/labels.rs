//! The closed sets of label values.

use crate::body::Short;
use docket_record::review::ReviewError;

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every one of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As in labels and logs.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl ::prometheus_client::encoding::EncodeLabelValue for $name {
            fn encode(
                &self,
                encoder: &mut ::prometheus_client::encoding::LabelValueEncoder,
            ) -> ::std::fmt::Result {
                ::std::fmt::Write::write_str(encoder, self.name())
            }
        }
    };
}
pub(crate) use labels;

labels! {
    /// The parts that are counted apart.
    Part {
        /// The listener for kube-apiserver.
        Admission = "admission",
        /// The listener for the reporter.
        Exhibits = "exhibits",
        /// The listener for readers, through kube-apiserver's front proxy.
        Api = "api",
        /// Our calls to the reporter.
        Reporter = "reporter",
        /// The plain listener.
        Admin = "admin",
        /// The directory of MAC keys.
        Keys = "keys",
    }
}

labels! {
    /// Which of our two hooks was called.
    Hook {
        /// `/mutate`.
        Witness = "witness",
        /// `/validate`.
        Final = "final",
    }
}

labels! {
    /// What is reviewed, in the API server's words.
    Operation {
        /// Also a patch that makes the object.
        Create = "CREATE",
        /// Also a patch.
        Update = "UPDATE",
        /// One object, also of a collection.
        Delete = "DELETE",
        /// exec, attach, port-forward, proxy.
        Connect = "CONNECT",
        /// Anything else, unreadable bodies included.
        None = "none",
    }
}

labels! {
    /// How a review was answered: always allowed, but with or without testimony.
    Outcome {
        /// With a numbered testimony.
        Sworn = "sworn",
        /// With the short one of a collection.
        Collection = "collection",
        /// Without: kube-apiserver waits no longer.
        Late = "late",
        /// Without: no key.
        Keyless = "keyless",
        /// Without: the body could not be read.
        Unreadable = "unreadable",
    }
}

labels! {
    /// Why a body could not be read.
    Cause {
        /// Torn, or no JSON.
        Json = "json",
        /// Not an AdmissionReview that we know.
        Kind = "kind",
        /// No request, or no uid.
        Request = "request",
        /// A uid that cannot be an annotation's key.
        Uid = "uid",
        /// Over the body limit.
        Large = "large",
        /// Not complete in time.
        Slow = "slow",
        /// Too many bytes under way.
        Crowded = "crowded",
        /// The connection broke inside the body.
        Broken = "broken",
        /// A fault of ours, caught.
        Panic = "panic",
    }
}

labels! {
    /// What became of changed files.
    ReloadResult {
        /// In use now.
        Taken = "taken",
        /// Unusable; what was there before is in use.
        Refused = "refused",
    }
}

impl Operation {
    /// By the API server's word.
    pub fn of(word: &str) -> Self {
        let known = Self::ALL.iter().find(|operation| operation.name() == word);
        known.copied().unwrap_or(Operation::None)
    }
}

impl From<Hook> for docket_record::numbers::Hook {
    fn from(hook: Hook) -> Self {
        match hook {
            Hook::Witness => Self::Witness,
            Hook::Final => Self::Final,
        }
    }
}

impl From<ReviewError> for Cause {
    fn from(error: ReviewError) -> Self {
        match error {
            ReviewError::Json => Cause::Json,
            ReviewError::Kind => Cause::Kind,
            ReviewError::Request => Cause::Request,
        }
    }
}

impl From<Short> for Cause {
    fn from(short: Short) -> Self {
        match short {
            Short::TooLarge => Cause::Large,
            Short::TooSlow => Cause::Slow,
            Short::Crowded => Cause::Crowded,
            Short::Broken => Cause::Broken,
        }
    }
}
