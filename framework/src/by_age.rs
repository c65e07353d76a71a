//! Values in the order of their last use: what a cache and a store in memory give up first is found at once.
//!
//! A slab of places, and lists through it from the value used longest ago to the one used last. A value is in one list
//! at a time; most users have one list. Invariant: the lists go through exactly the places that are taken.

use std::ops::Range;

/// Values by age, in `LISTS` lists.
#[derive(Debug)]
pub(crate) struct ByAge<T, const LISTS: usize = 1> {
    places: Vec<AgePlace<T>>,
    free: Vec<usize>,
    lists: [AgeList; LISTS],
}

#[derive(Debug)]
struct AgePlace<T> {
    value: Option<T>,
    list: usize,
    older: usize,
    newer: usize,
}

/// The ends of a list.
#[derive(Clone, Copy, Debug)]
struct AgeList {
    oldest: usize,
    newest: usize,
}

/// The end of a list.
const NONE: usize = usize::MAX;

impl<T, const LISTS: usize> Default for ByAge<T, LISTS> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), lists: [AgeList { oldest: NONE, newest: NONE }; LISTS] }
    }
}

impl<T, const LISTS: usize> ByAge<T, LISTS> {
    /// Adds a value as the one of `list` that was used last. Returns its place.
    pub(crate) fn insert(&mut self, list: usize, value: T) -> usize {
        let place = AgePlace { value: Some(value), list, older: NONE, newer: NONE };
        let index = match self.free.pop() {
            Some(index) => {
                self.places[index] = place;
                index
            }
            None => {
                self.places.push(place);
                self.places.len() - 1
            }
        };
        self.link_newest(index);
        index
    }

    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.places.get(index)?.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.places.get_mut(index)?.value.as_mut()
    }

    /// Removes the value in a place, if there is one.
    pub(crate) fn remove(&mut self, index: usize) -> Option<T> {
        let value = self.places.get_mut(index)?.value.take()?;
        self.unlink(index);
        self.free.push(index);
        Some(value)
    }

    /// The value in a place is used now, and belongs to `list` from now on.
    pub(crate) fn touch(&mut self, index: usize, list: usize) {
        if self.lists[list].newest != index && self.get(index).is_some() {
            self.unlink(index);
            self.places[index].list = list;
            self.link_newest(index);
        }
    }

    /// The place of the value of `list` that was used longest ago.
    pub(crate) fn oldest(&self, list: usize) -> Option<usize> {
        Some(self.lists[list].oldest).filter(|index| *index != NONE)
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// How many places there are, taken or not.
    pub(crate) fn places(&self) -> usize {
        self.places.len()
    }

    /// The values in these places, with their places.
    pub(crate) fn values(&self, places: Range<usize>) -> impl Iterator<Item = (usize, &T)> {
        places.filter_map(|index| Some((index, self.get(index)?)))
    }

    fn link_newest(&mut self, index: usize) {
        let list = self.places[index].list;
        let before = std::mem::replace(&mut self.lists[list].newest, index);
        self.places[index].older = before;
        self.places[index].newer = NONE;
        match self.places.get_mut(before) {
            Some(place) => place.newer = index,
            None => self.lists[list].oldest = index,
        }
    }

    fn unlink(&mut self, index: usize) {
        let AgePlace { older, newer, list, .. } = self.places[index];
        match self.places.get_mut(older) {
            Some(place) => place.newer = newer,
            None => self.lists[list].oldest = newer,
        }
        match self.places.get_mut(newer) {
            Some(place) => place.older = older,
            None => self.lists[list].newest = older,
        }
    }
}

#[cfg(test)]
impl<T, const LISTS: usize> ByAge<T, LISTS> {
    /// The values of a list, from the one used longest ago to the one used last; both directions must agree.
    pub(crate) fn in_order(&self, list: usize) -> Vec<&T> {
        let (mut values, mut at, mut before) = (Vec::new(), self.lists[list].oldest, NONE);
        while at != NONE {
            let place = &self.places[at];
            assert_eq!((place.older, place.list), (before, list));
            values.push(place.value.as_ref().expect("a place in a list is taken"));
            (before, at) = (at, place.newer);
        }
        assert_eq!(before, self.lists[list].newest);
        values
    }

    pub(crate) fn capacity(&self) -> usize {
        self.places.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_the_order_of_their_last_use() {
        let mut values = ByAge::<_, 1>::default();
        let places = ["a", "b", "c"].map(|value| values.insert(0, value));
        values.touch(places[0], 0);
        assert_eq!(values.in_order(0), [&"b", &"c", &"a"]);
        assert_eq!(values.remove(places[2]), Some("c"));
        assert_eq!((values.remove(places[2]), values.oldest(0)), (None, Some(places[1])));
        values.insert(0, "d");
        assert_eq!(values.in_order(0), [&"b", &"a", &"d"]);
        assert_eq!((values.len(), values.places()), (3, 3));
    }

    #[test]
    fn the_lists_stay_whole_under_random_use() {
        let (mut values, mut random, mut count) = (ByAge::<_, 2>::default(), 0x9e37_79b9_7f4a_7c15_u64, 0_usize);
        for round in 0..5_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let (place, list) = ((random >> 8) as usize % 20, (random >> 40) as usize % 2);
            match random % 3 {
                0 => {
                    values.insert(list, round);
                    count += 1;
                }
                1 => values.touch(place, list),
                _ => count -= usize::from(values.remove(place).is_some()),
            }
            assert_eq!(values.in_order(0).len() + values.in_order(1).len(), count);
            assert_eq!(values.len(), count);
        }
    }
}
