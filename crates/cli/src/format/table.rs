//! Columns aligned with blanks, as Go's `text/tabwriter` aligns tab-separated cells.

/// How wide columns are.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The narrowest a column may be, its padding included.
    pub min_width: usize,
    /// Blanks after the widest cell.
    pub padding: usize,
}

/// The layout of Docker's lists.
pub const LISTS: Layout = Layout { min_width: 10, padding: 3 };
/// The layout of `top`.
pub const PROCESSES: Layout = Layout { min_width: 20, padding: 3 };

/// Aligns `text`: cells end in a tab, and adjacent lines that have a cell in a column share its width.
#[must_use]
pub fn align(text: &str, layout: Layout) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let mut writer = Writer { lines, layout, widths: Vec::new(), out: String::with_capacity(text.len() * 2) };
    writer.format(0, writer.lines.len());
    writer.out
}

struct Writer<'a> {
    lines: Vec<Vec<&'a str>>,
    layout: Layout,
    widths: Vec<usize>,
    out: String,
}

impl Writer<'_> {
    fn format(&mut self, first: usize, end: usize) {
        let column = self.widths.len();
        let mut first = first;
        let mut this = first;
        while this < end {
            if column + 1 >= self.lines[this].len() {
                this += 1;
                continue;
            }
            self.write(first, this);
            first = this;
            let mut width = self.layout.min_width;
            while this < end && column + 1 < self.lines[this].len() {
                width = width.max(self.lines[this][column].chars().count() + self.layout.padding);
                this += 1;
            }
            self.widths.push(width);
            self.format(first, this);
            self.widths.pop();
            first = this;
        }
        self.write(first, end);
    }

    fn write(&mut self, first: usize, end: usize) {
        for line in first..end {
            for (column, cell) in self.lines[line].iter().enumerate() {
                self.out.push_str(cell);
                if let Some(width) = self.widths.get(column) {
                    let blanks = width.saturating_sub(cell.chars().count());
                    self.out.extend(std::iter::repeat_n(' ', blanks));
                }
            }
            if line + 1 < self.lines.len() {
                self.out.push('\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_ten_at_least() {
        let text =
            "CONTAINER ID\tIMAGE\tNAMES\n789d3fced695\tbusybox\tx\n789d3fced695\ta/very/long/name\t…\n";
        assert_eq!(
            align(text, LISTS),
            "CONTAINER ID   IMAGE              NAMES\n\
             789d3fced695   busybox            x\n\
             789d3fced695   a/very/long/name   …\n"
        );
    }

    #[test]
    fn a_line_without_the_cell_ends_the_block() {
        assert_eq!(align("aaaaaaaaaaaa\tb\nplain\nc\td", LISTS), "aaaaaaaaaaaa   b\nplain\nc         d");
        assert_eq!(align("", LISTS), "");
    }
}
