//! TOML to a tree, for the hosts that write TOML.

use toml_edit::{Document, Item, TableLike, Value as Toml};

use crate::tree::{Entry, Node, SyntaxError, Value};

/// Reads one TOML document.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let document = Document::parse(text).map_err(|error| {
        let range = error.span().unwrap_or(0..0);
        SyntaxError::new(range, error.message().to_owned())
    })?;
    Ok(Node::new(0..text.len(), table(document.as_table())))
}

fn table(table: &dyn TableLike) -> Value {
    let entries = table.iter().map(|(name, item)| {
        let node = item_node(item);
        let key_range = table.key(name).and_then(toml_edit::Key::span);
        let key_range = key_range.unwrap_or_else(|| node.range.clone());
        Entry { key: name.to_owned(), key_range, node }
    });
    Value::Mapping(entries.collect())
}

fn item_node(item: &Item) -> Node {
    let range = item.span().unwrap_or(0..0);
    let value = match item {
        Item::None => Value::Null,
        Item::Value(found) => value(found),
        Item::Table(found) => table(found),
        Item::ArrayOfTables(tables) => Value::Sequence(
            tables
                .iter()
                .map(|found| Node::new(found.span().unwrap_or(0..0), table(found)))
                .collect(),
        ),
    };
    Node::new(range, value)
}

fn value(found: &Toml) -> Value {
    match found {
        Toml::String(text) => Value::String(text.value().clone()),
        Toml::Integer(number) => Value::Number(number.value().to_string()),
        Toml::Float(number) => Value::Number(number.value().to_string()),
        Toml::Boolean(flag) => Value::Bool(*flag.value()),
        Toml::Datetime(time) => Value::String(time.value().to_string()),
        Toml::Array(items) => Value::Sequence(
            items.iter().map(|item| Node::new(item.span().unwrap_or(0..0), value(item))).collect(),
        ),
        Toml::InlineTable(found) => table(found),
    }
}
