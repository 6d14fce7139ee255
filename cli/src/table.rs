//! A table: columns as wide as they need, the last one as wide as there is room.

use crate::screen::{Screen, Style};
use crate::text::{cut, short_time, width};

/// Between two columns.
const SPACE: usize = 2;
/// The last column is given at least this, whatever the others would like.
const LAST: usize = 24;
/// No column gets less; one that likes no more than `SMALL` is never cut.
const LEAST: usize = 7;
const SMALL: usize = 8;
/// A column of times gets no less.
const TIME: usize = "11-30 23:26".len();

/// One column.
pub struct Column {
    /// Heading.
    pub title: &'static str,
    /// Widest on a terminal.
    pub most: usize,
}

/// One field of a row.
pub struct Cell {
    /// Harmless text.
    pub text: String,
    /// How it is shown.
    pub style: Style,
}

impl Cell {
    /// Without a style.
    pub fn plain(text: impl Into<String>) -> Cell {
        Cell {
            text: text.into(),
            style: Style::Plain,
        }
    }

    /// With one.
    pub fn styled(style: Style, text: impl Into<String>) -> Cell {
        Cell {
            text: text.into(),
            style,
        }
    }
}

/// Headings and rows. A column in which no row says anything is left out.
pub fn render(screen: Screen, columns: &[Column], rows: &[Vec<Cell>]) -> String {
    let used: Vec<usize> = (0..columns.len())
        .filter(|&at| {
            rows.iter()
                .any(|row| row.get(at).is_some_and(|cell| !cell.text.is_empty()))
        })
        .collect();
    table(screen, columns, rows, used).0
}

/// A table to which more rows come, all columns shown; the widths are those of the rows
/// that are there.
pub fn open(screen: Screen, columns: &[Column], rows: &[Vec<Cell>]) -> (String, Widths) {
    table(screen, columns, rows, (0..columns.len()).collect())
}

/// How wide which columns are.
#[derive(Debug, Default)]
pub struct Widths(Vec<(usize, usize)>);

fn table(
    screen: Screen,
    columns: &[Column],
    rows: &[Vec<Cell>],
    used: Vec<usize>,
) -> (String, Widths) {
    if used.is_empty() {
        return Default::default();
    }
    let mut widths: Vec<usize> = used
        .iter()
        .map(|&at| natural(screen, columns, rows, at))
        .collect();
    if let Some(total) = screen.width {
        let least: Vec<usize> = used.iter().map(|&at| least(columns, rows, at)).collect();
        fit(&mut widths, &least, total);
    }
    let widths = Widths(used.into_iter().zip(widths).collect());
    let heading = |at: usize| Cell::styled(Style::Dim, columns[at].title);
    let headings: Vec<Cell> = (0..columns.len()).map(heading).collect();
    let mut out = String::new();
    for row in std::iter::once(&headings).chain(rows) {
        out.push_str(&line(screen, &widths, row));
        out.push('\n');
    }
    (out, widths)
}

/// One row. Into a pipe nothing is cut, also where a column turns out too narrow.
pub fn line(screen: Screen, widths: &Widths, row: &[Cell]) -> String {
    let Some((&(last, most), others)) = widths.0.split_last() else {
        return String::new();
    };
    let mut line = String::new();
    for &(at, wide) in others {
        let wide = match screen.width {
            Some(_) => wide,
            None => wide.max(width(&row[at].text)),
        };
        let shown = field(&row[at].text, wide);
        let pad = " ".repeat(wide - width(&shown) + SPACE);
        line.push_str(&screen.paint(row[at].style, &shown));
        line.push_str(&pad);
    }
    let most = match screen.width {
        Some(total) => most.max(total.saturating_sub(width_of(others))),
        None => usize::MAX,
    };
    line.push_str(&screen.paint(row[last].style, &cut(&row[last].text, most)));
    line.trim_end().to_owned()
}

fn width_of(columns: &[(usize, usize)]) -> usize {
    columns.iter().map(|(_, wide)| wide + SPACE).sum()
}

/// As wide as its widest text; on a terminal no wider than the column likes to be.
fn natural(screen: Screen, columns: &[Column], rows: &[Vec<Cell>], at: usize) -> usize {
    let texts = rows.iter().map(|row| width(&row[at].text));
    let widest = texts.max().unwrap_or(0).max(width(columns[at].title));
    match screen.width {
        Some(_) => widest.min(columns[at].most),
        None => widest,
    }
}

/// What is left of a column when all are cut.
fn least(columns: &[Column], rows: &[Vec<Cell>], at: usize) -> usize {
    let is_time = |row: &Vec<Cell>| short_time(&row[at].text).is_some();
    match columns[at].most {
        most if most <= SMALL => most,
        _ if rows.iter().any(is_time) => TIME,
        _ => LEAST,
    }
}

/// The last column takes what is left; if that is too little, the widest others give.
fn fit(widths: &mut [usize], least: &[usize], total: usize) {
    let spaces = SPACE * widths.len().saturating_sub(1);
    let Some((last, others)) = widths.split_last_mut() else {
        return;
    };
    let wanted = (*last).min(LAST);
    while others.iter().sum::<usize>() + spaces + wanted > total {
        let give = others.iter_mut().zip(least);
        let give = give.filter(|(wide, least)| **wide > **least);
        match give.map(|(wide, _)| wide).max() {
            Some(widest) => *widest -= 1,
            None => break,
        }
    }
    let left = total.saturating_sub(others.iter().sum::<usize>() + spaces);
    *last = (*last).min(left.max(LEAST));
}

/// A text in so many columns.
fn field(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let short = short_time(text).filter(|short| width(short) <= most);
    short.unwrap_or_else(|| cut(text, most))
}

#[cfg(test)]
mod tests {
    use super::{Cell, Column, render};
    use crate::screen::{Screen, Style};
    use crate::text::width;

    fn sample(screen: Screen) -> String {
        let columns = [
            Column {
                title: "ID",
                most: 8,
            },
            Column {
                title: "RULE",
                most: 20,
            },
            Column {
                title: "OBJECT",
                most: 30,
            },
            Column {
                title: "MESSAGE",
                most: usize::MAX,
            },
        ];
        let row = |id: &str, object: &str, message: &str| {
            vec![
                Cell::styled(Style::Red, id),
                Cell::plain(""),
                Cell::plain(object),
                Cell::plain(message),
            ]
        };
        let message = "a description of at least twenty characters is wanted here";
        render(
            screen,
            &columns,
            &[
                row("abc", "PullRequest/one", message),
                row("defg", "Job/二つ", "no"),
            ],
        )
    }

    #[test]
    fn into_a_pipe_nothing_is_cut_and_an_empty_column_is_left_out() {
        let table = sample(Screen {
            width: None,
            colour: false,
        });
        assert_eq!(
            table,
            "ID    OBJECT           MESSAGE\n\
             abc   PullRequest/one  a description of at least twenty characters is wanted here\n\
             defg  Job/二つ         no\n"
        );
    }

    #[test]
    fn on_a_terminal_no_line_is_wider_than_it() {
        for columns in [40, 50, 60, 80] {
            let table = sample(Screen {
                width: Some(columns),
                colour: false,
            });
            assert!(
                table.lines().all(|line| width(line) <= columns),
                "{columns}:\n{table}"
            );
        }
    }

    #[test]
    fn a_time_loses_year_and_seconds_and_an_id_nothing() {
        let column = |title, most| Column { title, most };
        let columns = [
            column("ID", 8),
            column("TIME", 20),
            column("OBJECT", 30),
            column("POLICY", 30),
            column("ACTOR", 30),
            column("MESSAGE", usize::MAX),
        ];
        let fields = [
            "abcdefgh",
            "2026-11-30 23:26:44Z",
            "PullRequest/with-a-long-name",
            "one-of-many-policies-of-ours",
            "sa:krate-system/krate-krate",
            "a description of at least twenty characters is wanted here",
        ];
        let row = || fields.map(Cell::plain).into();
        let table = |width| {
            let colour = false;
            render(Screen { width, colour }, &columns, &[row()])
        };
        assert!(table(None).contains("abcdefgh  2026-11-30 23:26:44Z  Pull"));
        for wide in [60, 70, 80, 90] {
            let table = table(Some(wide));
            assert!(table.lines().all(|line| width(line) <= wide), "{table}");
            assert!(
                table.contains("abcdefgh  11-30 23:26  "),
                "{wide}:\n{table}"
            );
        }
    }

    #[test]
    fn colours_stand_around_texts_and_change_no_column() {
        let table = sample(Screen {
            width: None,
            colour: true,
        });
        assert!(
            table.contains("\u{1b}[31mabc\u{1b}[0m   PullRequest/one"),
            "{table:?}"
        );
    }
}
