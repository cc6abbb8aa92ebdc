//! An honest connection under any schedule: both ends on ordinary memory, against the model of the pair tests.

use super::random::Random;
use super::world::Connection;

/// Every message ends once, as the model foretells, and nothing is left in use.
pub fn slots(data: &[u8]) {
    let mut random = Random::scripted(data);
    let mut connection = Connection::new(false);
    let mut now = 0;
    while !random.is_over() {
        now += random.below(4);
        connection.step(&mut random, now);
    }
    connection.finish(&mut random);
}
