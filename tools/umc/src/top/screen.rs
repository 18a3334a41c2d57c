// SPDX-License-Identifier: GPL-2.0-only
//! The live picture.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Alignment, Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::follow::Follow;
use super::look::{Look, Measured};
use super::target::Chosen;
use super::view::{self, Mood, Section, is_number, widths};

/// How often a change is looked for.
const GLANCE: Duration = Duration::from_millis(100);
const HELP: &str = "q quit   space pause   l latencies   up/down scroll";

struct Screen {
    sections: Vec<Section>,
    title: String,
    is_paused: bool,
    /// Rows that are above the screen.
    above: usize,
    error: Option<String>,
}

/// Shows it until the user ends it.
///
/// # Errors
/// There is no terminal.
pub fn run(chosen: &Chosen, first: Look, interval: Duration) -> Result<()> {
    if !std::io::stdout().is_terminal() {
        bail!(
            "umc top shows a live picture, and this is no terminal. For a script: umc top --once, or --json"
        );
    }
    let mut terminal = ratatui::try_init().context("Cannot use this terminal")?;
    let result = show(&mut terminal, chosen, first, interval);
    ratatui::restore();
    result
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    chosen: &Chosen,
    first: Look,
    interval: Duration,
) -> Result<()> {
    #[allow(clippy::disallowed_methods, reason = "no node's time")]
    let now = Instant::now;
    let mut before = first;
    let mut screen = Screen {
        sections: view::of(&before, &before),
        title: title(&before),
        is_paused: false,
        above: 0,
        error: None,
    };
    let mut measured: Option<Measured> = None;
    let mut next = now() + interval;
    let mut follow = Follow::begin(chosen);
    loop {
        terminal.draw(|frame| draw(frame, &screen)).context("Cannot draw")?;
        let left = next.saturating_duration_since(now()).min(GLANCE);
        if event::poll(left).context("Cannot wait for a key")? {
            let Event::Key(key) = event::read().context("Cannot read a key")? else { continue };
            if key.kind != KeyEventKind::Press {
                continue;
            }
            let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
            match key.code {
                KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                KeyCode::Char('c') if is_control => return Ok(()),
                KeyCode::Char(' ') => screen.is_paused = !screen.is_paused,
                KeyCode::Char('l') => {
                    measured = match measured.take() {
                        Some(_) => None,
                        None => Measured::begin(chosen).ok(),
                    };
                }
                KeyCode::Up => screen.above = screen.above.saturating_sub(1),
                KeyCode::Down => screen.above += 1,
                KeyCode::PageUp => screen.above = screen.above.saturating_sub(10),
                KeyCode::PageDown => screen.above += 10,
                KeyCode::Home => screen.above = 0,
                _ => {}
            }
            continue;
        }
        // A change is shown at once, and counters once in an interval.
        if !follow.has_changed() && now() < next {
            continue;
        }
        follow.renew();
        next = now() + interval;
        if screen.is_paused {
            continue;
        }
        match Look::at(chosen) {
            Ok(look) => {
                screen.sections = view::of(&before, &look);
                screen.title = title(&look);
                screen.error = look.nodes.is_empty().then(|| "No node is left".into());
                before = look;
            }
            Err(error) => screen.error = Some(format!("{error:#}")),
        }
    }
}

fn title(look: &Look) -> String {
    let dead = look.nodes.iter().filter(|node| node.pid.is_none()).count();
    let dead = if dead > 0 { format!(", {dead} dead") } else { String::new() };
    format!("umc top: {} nodes{dead}", look.nodes.len())
}

fn draw(frame: &mut Frame, screen: &Screen) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)])
            .areas(frame.area());
    let bold = Style::default().add_modifier(Modifier::BOLD);
    let state = if screen.is_paused { "   paused" } else { "" };
    frame.render_widget(Paragraph::new(format!("{}{state}", screen.title)).style(bold), head);
    let foot_line = match &screen.error {
        Some(error) => Line::styled(error.clone(), style(Mood::Bad)),
        None => Line::from(HELP),
    };
    frame.render_widget(Paragraph::new(foot_line), foot);
    // Sections that do not fit are scrolled to, a row at a time.
    let (mut skipped, mut top) = (screen.above, body.y);
    for section in &screen.sections {
        let lines = section.rows.len() + 2;
        let hidden = skipped.min(lines);
        skipped -= hidden;
        let shown = (lines - hidden) as u16;
        if shown == 0 || top >= body.bottom() {
            continue;
        }
        let area = ratatui::layout::Rect {
            x: body.x,
            y: top,
            width: body.width,
            height: shown.min(body.bottom() - top),
        };
        frame.render_widget(table(section, hidden), area);
        top += area.height;
    }
}

/// A section without its first lines: the head, then rows.
fn table(section: &Section, hidden: usize) -> Table<'static> {
    let widths = widths(section);
    let last = widths.len() - 1;
    let columns = widths.iter().enumerate().map(|(at, width)| {
        match at == last && !is_number(section.head[at]) {
            true => Constraint::Min(*width as u16),
            false => Constraint::Length(*width as u16),
        }
    });
    let cell = |head: &str, text: &str, style: Style| {
        let alignment = if is_number(head) { Alignment::Right } else { Alignment::Left };
        Cell::from(Text::from(text.to_owned()).alignment(alignment)).style(style)
    };
    let heads = section.head.iter().map(|head| {
        cell(head, head.trim(), Style::default().add_modifier(Modifier::DIM | Modifier::UNDERLINED))
    });
    let rows = section.rows.iter().skip(hidden.saturating_sub(1)).map(|row| {
        let cells = row.iter().zip(&section.head);
        Row::new(cells.map(|(of, head)| cell(head, &of.text, style(of.mood))).collect::<Vec<_>>())
    });
    let all = Table::new(rows.collect::<Vec<_>>(), columns.collect::<Vec<_>>()).column_spacing(2);
    match hidden {
        0 => all.header(Row::new(heads.collect::<Vec<_>>())),
        _ => all,
    }
}

fn style(mood: Mood) -> Style {
    match mood {
        Mood::Plain => Style::default(),
        Mood::Good => Style::default().fg(Color::Green),
        Mood::Busy => Style::default().fg(Color::Yellow),
        Mood::Bad => Style::default().fg(Color::Red).add_modifier(Modifier::BOLD),
    }
}

#[cfg(test)]
mod tests {
    use super::view::Cell as ViewCell;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn section(rows: usize) -> Section {
        let cell = |text: String| ViewCell { text, mood: Mood::Good };
        Section {
            head: vec!["NODE", " PID"],
            rows: (0..rows).map(|at| vec![cell(format!("n{at}")), cell(at.to_string())]).collect(),
        }
    }

    fn drawn(above: usize) -> String {
        let sections = vec![section(3), section(30)];
        let screen = Screen {
            sections,
            title: "umc top: 3 nodes".into(),
            is_paused: true,
            above,
            error: None,
        };
        let mut terminal = Terminal::new(TestBackend::new(60, 12)).unwrap();
        terminal.draw(|frame| draw(frame, &screen)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let lines: Vec<String> = (0..12)
            .map(|y| {
                (0..60).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned()
            })
            .collect();
        lines.join("\n")
    }

    #[test]
    fn tables_are_drawn_and_scrolled() {
        let text = drawn(0);
        assert!(text.starts_with("umc top: 3 nodes   paused\nNODE  PID\nn0      0\n"), "{text}");
        assert!(text.ends_with(HELP), "{text}");
        // Those of the first section are above the screen.
        let text = drawn(7);
        assert!(!text.contains("NODE") && text.contains("\nn1      1\n"), "{text}");
        drawn(1000);
    }
}
