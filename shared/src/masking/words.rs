//! The words that texts are searched for, in a radix tree: those with a common beginning are compared together.
//!
//! Invariant: memory is the words' own symbols and at most two nodes a word, however alike the words are.

use std::{collections::VecDeque, ops::Range};

/// A place in the tree: the symbols on the way to it are the beginning of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    node: u32,
    /// Symbols of the node's label that are behind.
    passed: u32,
}

#[derive(Debug, Default)]
struct Node {
    /// Symbols on the way to the node that are common to all its words.
    label: Range<u32>,
    /// Marks of the words that end here.
    marks: Range<u32>,
    /// In the order of their labels' first symbols.
    children: Range<u32>,
}

/// Words, each with a mark.
pub(super) struct Words<M> {
    symbols: Box<[u8]>,
    nodes: Box<[Node]>,
    /// First symbol of each node's label.
    firsts: Box<[u8]>,
    marks: Box<[M]>,
}

impl<M> Words<M> {
    /// Where every word begins.
    pub(super) const BEGINNING: Place = Place { node: 0, passed: 0 };

    fn node(&self, place: Place) -> &Node {
        &self.nodes[place.node as usize]
    }

    /// The symbols that follow, up to the next place where words end or part.
    pub(super) fn ahead(&self, place: Place) -> &[u8] {
        let Range { start, end } = self.node(place).label;
        &self.symbols[(start + place.passed) as usize..end as usize]
    }

    /// The place after so many of the symbols [`Words::ahead`].
    pub(super) fn skip(place: Place, symbols: usize) -> Place {
        Place { passed: place.passed + number(symbols), ..place }
    }

    /// First symbols of the children.
    fn choices(&self, place: Place) -> &[u8] {
        &self.firsts[range(&self.node(place).children)]
    }

    /// The place after `symbol`, if a word goes on with it.
    pub(super) fn after(&self, place: Place, symbol: u8) -> Option<Place> {
        if let Some(&only) = self.ahead(place).first() {
            return (only == symbol).then_some(Self::skip(place, 1));
        }
        let child = self.choices(place).binary_search(&symbol).ok()?;
        let first = self.node(place).children.start as usize;
        Some(Place { node: number(first + child), passed: 1 })
    }

    /// Steps that [`Words::after`] takes.
    pub(super) fn steps(&self, place: Place) -> usize {
        let choices = if self.ahead(place).is_empty() { self.choices(place).len() } else { 1 };
        1 + choices.checked_ilog2().unwrap_or(0) as usize / 2
    }

    /// Marks of the words that end here.
    pub(super) fn ended(&self, place: Place) -> &[M] {
        if self.ahead(place).is_empty() { &self.marks[range(&self.node(place).marks)] } else { &[] }
    }

    /// Whether a word goes on with a symbol of this kind.
    pub(super) fn goes_on(&self, place: Place, kind: impl Fn(u8) -> bool) -> bool {
        match self.ahead(place).first() {
            Some(&only) => kind(only),
            None => self.choices(place).iter().any(|&symbol| kind(symbol)),
        }
    }

    /// Memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.symbols)
            + size_of_val(&*self.nodes)
            + size_of_val(&*self.firsts)
            + size_of_val(&*self.marks)
    }
}

fn range(of: &Range<u32>) -> Range<usize> {
    of.start as usize..of.end as usize
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("far fewer than 2³² symbols")
}

/// A word that was added: where its symbols are.
struct Word<M> {
    start: usize,
    end: usize,
    mark: M,
}

/// Collects words.
pub(super) struct Collecting<M> {
    symbols: Vec<u8>,
    words: Vec<Word<M>>,
}

impl<M: Copy + Ord> Collecting<M> {
    pub(super) fn new() -> Self {
        Self { symbols: Vec::new(), words: Vec::new() }
    }

    /// Adds a word.
    pub(super) fn add(&mut self, symbols: impl IntoIterator<Item = u8>, mark: M) {
        let start = self.symbols.len();
        self.symbols.extend(symbols);
        self.words.push(Word { start, end: self.symbols.len(), mark });
    }

    /// Words in the order of their addition.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], M)> {
        self.words.iter().map(|word| (self.symbols(word), word.mark))
    }

    fn symbols(&self, word: &Word<M>) -> &[u8] {
        &self.symbols[word.start..word.end]
    }

    /// Plants the tree.
    pub(super) fn into_words(mut self) -> Words<M> {
        let mut words = std::mem::take(&mut self.words);
        words.sort_unstable_by(|one, other| {
            self.symbols(one).cmp(self.symbols(other)).then_with(|| one.mark.cmp(&other.mark))
        });
        words.dedup_by(|one, other| self.symbols(one) == self.symbols(other) && one.mark == other.mark);
        let mut nodes = vec![Node::default()];
        // Nodes whose words share so many symbols, and have not been told apart yet.
        let mut waiting = VecDeque::from([(0, 0..words.len(), 0)]);
        while let Some((node, mut group, depth)) = waiting.pop_front() {
            let ended = words[group.clone()].iter().take_while(|word| word.end - word.start == depth).count();
            nodes[node].marks = number(group.start)..number(group.start + ended);
            group.start += ended;
            nodes[node].children.start = number(nodes.len());
            while !group.is_empty() {
                let first = self.symbols(&words[group.start]);
                let alike =
                    words[group.clone()].iter().take_while(|word| self.symbols(word)[depth] == first[depth]);
                let child = group.start..group.start + alike.count();
                // They are sorted: what the first and the last have in common, all have.
                let last = self.symbols(&words[child.end - 1]);
                let common = depth
                    + first[depth..]
                        .iter()
                        .zip(&last[depth..])
                        .take_while(|(one, other)| one == other)
                        .count();
                let start = words[child.start].start;
                waiting.push_back((nodes.len(), child.clone(), common));
                nodes.push(Node { label: number(start + depth)..number(start + common), ..Node::default() });
                group.start = child.end;
            }
            nodes[node].children.end = number(nodes.len());
        }
        let firsts = nodes
            .iter()
            .map(|node| self.symbols.get(node.label.start as usize).copied().unwrap_or(0))
            .collect();
        let marks = words.iter().map(|word| word.mark).collect();
        Words { symbols: self.symbols.into(), nodes: nodes.into(), firsts, marks }
    }
}

/// Numbers of a bounded size.
#[derive(Clone)]
pub(super) struct Numbers(Box<[u64]>);

impl Numbers {
    /// No number; `end` is above all that may be added.
    pub(super) fn below(end: usize) -> Self {
        Self(vec![0; end.div_ceil(64)].into())
    }

    pub(super) fn add(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }

    pub(super) fn has(&self, number: usize) -> bool {
        self.0[number / 64] >> (number % 64) & 1 == 1
    }

    /// Memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks of the word `text`, and whether longer words begin with it; none if no word begins with it.
    fn look_up<'a>(words: &'a Words<u8>, text: &str) -> Option<(&'a [u8], bool)> {
        let mut place = Words::<u8>::BEGINNING;
        for symbol in text.bytes() {
            place = words.after(place, symbol)?;
        }
        Some((words.ended(place), words.goes_on(place, |_| true)))
    }

    #[test]
    fn words_are_found_symbol_by_symbol() {
        let mut collecting = Collecting::new();
        for (word, mark) in [("abcd", 1), ("abc", 2), ("b", 3), ("abd", 4), ("abc", 5), ("abc", 2)] {
            collecting.add(word.bytes(), mark);
        }
        let words = collecting.into_words();
        assert_eq!(look_up(&words, ""), Some(([].as_slice(), true)));
        assert_eq!(look_up(&words, "ab"), Some(([].as_slice(), true)));
        assert_eq!(look_up(&words, "abc"), Some(([2, 5].as_slice(), true)), "a word may have several marks");
        assert_eq!(look_up(&words, "abcd"), Some(([1].as_slice(), false)));
        assert_eq!(look_up(&words, "b"), Some(([3].as_slice(), false)));
        for absent in ["c", "ac", "abcde", "bb"] {
            assert_eq!(look_up(&words, absent), None, "{absent}");
        }
    }

    #[test]
    fn without_words_there_is_nothing_to_find() {
        let words = Collecting::<u8>::new().into_words();
        assert_eq!(look_up(&words, ""), Some(([].as_slice(), false)));
        assert_eq!(look_up(&words, "a"), None);
    }

    #[test]
    fn nodes_are_two_a_word_at_most() {
        let mut collecting = Collecting::new();
        (0..1_000).for_each(|length| collecting.add(std::iter::repeat_n(b'a', length).chain([b'b']), ()));
        (0..1_000).for_each(|length| collecting.add(std::iter::repeat_n(b'a', length), ()));
        assert!(collecting.into_words().nodes.len() <= 4_000);
    }
}
