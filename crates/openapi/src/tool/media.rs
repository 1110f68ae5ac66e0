//! What a media type means for a body: which rules write it, and which of several is taken.

use crate::model::Media;

/// The rules by which a body of a media type is written, most welcome first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaKind {
    /// `application/json` and `+json`, and whatever may be anything (`*/*`).
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`.
    Multipart,
    /// `application/xml`, `text/xml` and `+xml`.
    Xml,
    /// JSON values, one on each line: `application/x-ndjson`, `application/jsonl` and their kin.
    Lines,
    /// `text/*`, and what is text by another name.
    Text,
    /// Anything else: bytes.
    Binary,
}

impl MediaKind {
    /// The rules for a media type; parameters do not matter.
    pub fn of(media_type: &str) -> Self {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-www-form-urlencoded" => Self::Form,
            "application/xml" | "text/xml" => Self::Xml,
            "" | "*/*" | "application/*" | "application/json" | "text/json" => Self::Json,
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonl"
            | "application/json-lines"
            | "application/jsonlines"
            | "application/x-jsonlines"
            | "application/json-seq"
            | "application/stream+json" => Self::Lines,
            "application/x-yaml"
            | "application/yaml"
            | "application/javascript"
            | "application/graphql"
            | "application/sql"
            | "application/x-www-form" => Self::Text,
            other if other.ends_with("+json") || other.ends_with("/json") => Self::Json,
            other if other.ends_with("+xml") && !other.starts_with("image/") => Self::Xml,
            other if other.starts_with("multipart/") => Self::Multipart,
            other if other.starts_with("text/") || other.ends_with("+yaml") => Self::Text,
            _ => Self::Binary,
        }
    }

    /// Which media type of a body is taken: the one the operator names, else the most welcome kind,
    /// the first of several of a kind. Ranges are taken only where nothing is exact.
    pub fn choose(media: &[Media], wanted: Option<&str>) -> Option<usize> {
        wanted.and_then(|wanted| Self::named(media, wanted)).or_else(|| {
            (0..media.len()).min_by_key(|&at| {
                let media_type = &media[at].media_type;
                (media_type.contains('*'), Self::of(media_type), at)
            })
        })
    }

    /// Which one the operator means: exactly, or without the parameters that only the document has.
    pub(super) fn named(media: &[Media], wanted: &str) -> Option<usize> {
        let find = |fits: &dyn Fn(&str) -> bool| media.iter().position(|it| fits(&it.media_type));
        find(&|it| it.eq_ignore_ascii_case(wanted)).or_else(|| {
            find(&|it| {
                it.split(';').next().is_some_and(|it| it.trim().eq_ignore_ascii_case(wanted.trim()))
            })
        })
    }
}

/// The media type of a file whose first bytes tell it.
pub(crate) fn recognized(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'%', b'P', b'D', b'F', ..] => "application/pdf",
        [b'P', b'K', 3, 4, ..] => "application/zip",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_preferred_then_forms() {
        let media = |types: &[&str]| -> Vec<Media> {
            let one = |media_type: &&str| Media {
                media_type: (*media_type).to_owned(),
                schema: None,
                is_items: false,
                encoding: Vec::new(),
                positions: crate::model::Positions::default(),
            };
            types.iter().map(one).collect()
        };
        let choose = |types: &[&str], wanted| MediaKind::choose(&media(types), wanted);
        assert_eq!(choose(&["text/plain", "application/json"], None), Some(1));
        assert_eq!(choose(&["*/*", "application/xml"], None), Some(1));
        assert_eq!(
            choose(&["multipart/form-data", "application/x-www-form-urlencoded"], None),
            Some(1)
        );
        assert_eq!(
            choose(&["application/json", "application/xml"], Some("application/XML")),
            Some(1)
        );
        assert_eq!(choose(&["application/json"], Some("image/png")), Some(0));
        assert_eq!(choose(&[], None), None);
    }

    #[test]
    fn media_types_have_kinds() {
        for (media_type, kind) in [
            ("application/json; charset=utf-8", MediaKind::Json),
            ("application/vnd.api+json", MediaKind::Json),
            ("*/*", MediaKind::Json),
            ("Application/X-WWW-Form-Urlencoded", MediaKind::Form),
            ("multipart/form-data", MediaKind::Multipart),
            ("application/soap+xml", MediaKind::Xml),
            ("image/svg+xml", MediaKind::Binary),
            ("application/x-ndjson", MediaKind::Lines),
            ("text/csv", MediaKind::Text),
            ("application/octet-stream", MediaKind::Binary),
            ("image/*", MediaKind::Binary),
        ] {
            assert_eq!(MediaKind::of(media_type), kind, "{media_type}");
        }
    }
}
