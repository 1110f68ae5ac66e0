//! Closed sets of words, each read, written and documented from one list.

/// Declares an enum whose variants are words of the configuration.
macro_rules! words {
    (
        $(#[doc = $doc:literal])*
        $name:ident {
            $($(#[$attribute:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[derive(serde::Serialize, schemars::JsonSchema)]
        pub enum $name {
            $(
                $(#[$attribute])*
                #[serde(rename = $word)]
                $variant,
            )+
        }

        impl $name {
            const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word that the configuration uses.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl crate::walk::Read for $name {
            fn read(node: &crate::tree::Node, cx: &mut crate::walk::Cx<'_>) -> Option<Self> {
                match node.scalar().as_deref() {
                    $(Some($word) => Some(Self::$variant),)+
                    _ => {
                        crate::walk::not_one_of(node, Self::WORDS, cx);
                        None
                    }
                }
            }
        }
    };
}

pub(crate) use words;
