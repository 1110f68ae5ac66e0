//! The gate as a stdio server, for hosts that start a process (`portcullis stdio`).

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;

use super::line::{Line, Out};
use crate::gate::Gate;

/// Lines that may wait to be written.
const LINES_QUEUED: usize = 64;

/// Serves the endpoint at `path` on standard input and output until the input ends.
pub async fn serve(gate: Arc<Gate>, path: &str) -> io::Result<()> {
    let endpoint = gate.snapshot().endpoints.get(path).cloned().ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("no endpoint has the path {path}"))
    })?;
    let line_max = gate.snapshot().limits.body_bytes.len();
    let (out, lines) = mpsc::channel(LINES_QUEUED);
    let writing = tokio::spawn(write(lines));
    let line = Line::new(Arc::clone(&gate), endpoint, Out::Lines(out), true);
    let read = read(&line, line_max).await;
    // Whatever is running is given up: nobody reads its answer.
    line.over().cancel();
    drop(line);
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), writing).await;
    read
}

async fn read(line: &Arc<Line>, line_max: usize) -> io::Result<()> {
    let mut input = BufReader::new(tokio::io::stdin());
    loop {
        let mut text = Vec::new();
        let most = line_max as u64 + 1;
        let mut bounded = (&mut input).take(most);
        let taken = tokio::select! {
            taken = bounded.read_until(b'\n', &mut text) => taken?,
            () = line.over().cancelled() => return Ok(()),
            () = line.drained() => return Ok(()),
        };
        if taken == 0 {
            return Ok(());
        }
        if text.last() != Some(&b'\n') && text.len() > line_max {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a line is longer than {line_max} bytes"),
            ));
        }
        let text = Bytes::from(text);
        if !text.trim_ascii().is_empty() {
            line.receive(&text.slice(..text.trim_ascii_end().len()));
        }
    }
}

async fn write(mut lines: mpsc::Receiver<Bytes>) -> io::Result<()> {
    let mut output = tokio::io::stdout();
    while let Some(line) = lines.recv().await {
        output.write_all(&[&*line, b"\n"].concat()).await?;
        output.flush().await?;
    }
    Ok(())
}
