//! `pinhole captures export`: exchanges in another format, the oldest first.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::base::private;
use crate::cli::Exit;
use crate::cli::captures::args::ExportArgs;
use crate::cli::captures::open::{
    after_damage, damage, folder, forewarn, now_us, read, reader, which,
};
use crate::cli::captures::progress::Progress;
use crate::cli::place::{path, refuse};
use crate::cli::terminal::{said, tell};
use crate::report::formats::export::{Exporter, Format, Written};
use crate::report::words;
use crate::store::exported;
use crate::store::query::Query;
use crate::store::query::page::Order;
use crate::store::reader::{ReadError, Reader};
use crate::store::stored::Stored;

/// Rows that are looked up at once; their bodies are read one after the other.
const ROWS: usize = 64;

pub(super) fn run(args: &ExportArgs) -> Result<Exit, Exit> {
    let format = format(args)?;
    let reader = reader(&args.place)?;
    let (query, after) = if args.mark {
        (Query::everything(), read(reader.exported_upto())?.unwrap_or(i64::MIN))
    } else {
        (which(&args.which)?, i64::MIN)
    };
    forewarn(&reader, &query);
    let mut out = Out::open(args.out.as_deref())?;
    let exporter = Exporter::begin(BufWriter::new(&mut out), format, now_us());
    let exporter = exporter.map_err(|error| written(&error, args))?;
    let (told, last, damaged) = export(&reader, &query, (after, args), exporter)?;
    out.finish(args)?;
    if args.mark
        && let Some(last) = last
    {
        exported::mark(&folder(&args.place)?, last)
            .map_err(|error| environment(&error.to_string()))?;
    }
    if args.json {
        result(args, &told, format, damaged);
    } else {
        tell(&summary(&told, format));
    }
    Ok(after_damage(damaged, Exit::Done))
}

/// Lines of the result go to standard output, unless the exchanges themselves do.
fn line(args: &ExportArgs, value: &Value) {
    if is_standard(args.out.as_deref()) {
        tell(&value.to_string());
    } else {
        said(&value.to_string());
    }
}

fn result(args: &ExportArgs, told: &Written, format: Format, damaged: u64) {
    for (reason, count) in &told.skipped {
        line(args, &json!({ "kind": "skipped", "reason": reason, "count": count }));
    }
    let total = json!({
        "kind": "total",
        "ok": damaged == 0,
        "format": format.label(),
        "file": args.out.as_deref().filter(|out| !is_standard(Some(out))),
        "exchanges": told.exchanges,
        "damaged": damaged,
    });
    line(args, &total);
}

fn is_standard(out: Option<&Path>) -> bool {
    out.is_none_or(|out| out == Path::new("-"))
}

/// What cannot be read back whole is left out: an export is what others rely on.
fn is_damaged(stored: &Stored, args: &ExportArgs) -> bool {
    for told in damage(stored) {
        if args.json {
            line(args, &json!({ "kind": "damaged", "id": stored.row.id, "reason": told }));
        } else {
            tell(&format!("{told}; left out"));
        }
    }
    !stored.damage.is_empty()
}

/// Writes what is found; gives what was written, the seq of the last, and how many were damaged.
fn export<W: Write>(
    reader: &Reader,
    query: &Query,
    (after, args): (i64, &ExportArgs),
    mut exporter: Exporter<W>,
) -> Result<(Written, Option<i64>, u64), Exit> {
    let mut progress = Progress::new("exported");
    let mut found = read(reader.seqs(query, Order::Oldest))?;
    let (mut done, mut last, mut damaged) = (0, None, 0);
    let limit = args.limit.unwrap_or(u64::MAX);
    while done < limit {
        let seqs: Result<Vec<i64>, ReadError> = found.by_ref().take(ROWS).collect();
        let mut seqs = read(seqs)?;
        if seqs.is_empty() {
            break;
        }
        seqs.retain(|seq| *seq > after);
        let room = usize::try_from(limit - done).unwrap_or(usize::MAX);
        for row in read(reader.listed(&seqs))?.into_iter().take(room) {
            last = Some(row.seq);
            let stored = reader.salvage(row).map_err(|error| environment(&error.to_string()))?;
            if is_damaged(&stored, args) {
                damaged += 1;
                continue;
            }
            exporter.push(stored).map_err(|error| written(&error, args))?;
            done += 1;
            progress.at(done);
        }
    }
    progress.done();
    let (told, _) = exporter.finish().map_err(|error| written(&error, args))?;
    Ok((told, last, damaged))
}

/// As `--as` says, else as the file's name does.
fn format(args: &ExportArgs) -> Result<Format, Exit> {
    let named = args.out.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    let format = args.form.or_else(|| named.and_then(Format::of_file));
    let format = format.unwrap_or(Format::Ndjson);
    if args.mark && !matches!(format, Format::Ndjson | Format::Har | Format::Bundle) {
        let told = "--mark needs a format that holds everything: ndjson, har or bundle";
        return Err(refuse(told, Exit::Usage));
    }
    Ok(format)
}

fn summary(told: &Written, format: Format) -> String {
    let many = usize::try_from(told.exchanges).unwrap_or(usize::MAX);
    let many = words::things(many, "exchange", "exchanges");
    let mut lines = vec![format!("{many} written as {}", format.label())];
    lines.extend(told.skipped.iter().map(|(reason, count)| format!("{count} left out: {reason}")));
    lines.join("\n")
}

fn written(error: &io::Error, args: &ExportArgs) -> Exit {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Exit::Done;
    }
    let to = args.out.as_deref().map_or_else(|| "-".to_owned(), |out| out.display().to_string());
    environment(&format!("`{to}` cannot be written: {error}; check the disk and its rights"))
}

fn environment(error: &str) -> Exit {
    refuse(error, Exit::Environment)
}

/// Standard output, or a file that has its name only once it is whole.
enum Out {
    Standard(io::Stdout),
    File { file: std::fs::File, part: PathBuf, whole: PathBuf },
}

impl Out {
    fn open(out: Option<&Path>) -> Result<Self, Exit> {
        let Some(named) = out.filter(|out| *out != Path::new("-")) else {
            return Ok(Self::Standard(io::stdout()));
        };
        let whole = path(named);
        let mut part = whole.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = private::create(&part).map_err(|error| {
            environment(&format!("`{}` cannot be made: {error}", part.display()))
        })?;
        Ok(Self::File { file, part, whole })
    }

    fn finish(self, args: &ExportArgs) -> Result<(), Exit> {
        match self {
            Self::Standard(mut out) => out.flush().map_err(|error| written(&error, args)),
            Self::File { file, part, whole } => file
                .sync_all()
                .and_then(|()| std::fs::rename(&part, &whole))
                .map_err(|error| written(&error, args)),
        }
    }
}

impl Write for &mut Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Out::Standard(out) => out.write(bytes),
            Out::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Out::Standard(out) => out.flush(),
            Out::File { file, .. } => file.flush(),
        }
    }
}
