//! SHA-256 (FIPS 180-4), for the streams of files.

pub struct Sha256 {
    state: [u32; 8],
    block: Vec<u8>,
    len: u64,
}

/// The first 32 bits of the fractional parts of roots of the first primes.
fn roots(root: u32, n: usize) -> Vec<u32> {
    let primes = (2u128..).filter(|p| (2..*p).take_while(|d| d * d <= *p).all(|d| p % d != 0));
    primes
        .take(n)
        .map(|p| {
            // The largest x with x^root <= p * 2^(32 * root): its low 32 bits are the fraction.
            let (mut low, mut high) = (0u128, 1u128 << 38);
            while high - low > 1 {
                let mid = (low + high) / 2;
                if mid.pow(root) <= p << (32 * root) {
                    low = mid;
                } else {
                    high = mid;
                }
            }
            low as u32
        })
        .collect()
}

impl Sha256 {
    pub fn new() -> Self {
        let h = roots(2, 8);
        Self { state: std::array::from_fn(|i| h[i]), block: Vec::new(), len: 0 }
    }

    pub fn update(&mut self, data: &[u8]) {
        self.len += data.len() as u64;
        self.block.extend_from_slice(data);
        let k = roots(3, 64);
        let whole = self.block.len() / 64 * 64;
        let rest = self.block.split_off(whole);
        let blocks = std::mem::replace(&mut self.block, rest);
        for block in blocks.chunks(64) {
            self.compress(block, &k);
        }
    }

    fn compress(&mut self, block: &[u8], k: &[u32]) {
        let mut w = [0u32; 64];
        for (w, b) in w.iter_mut().zip(block.chunks(4)) {
            *w = u32::from_be_bytes([b[0], b[1], b[2], b[3]]);
        }
        for i in 16..64 {
            let (a, b) = (w[i - 15], w[i - 2]);
            let s0 = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
            let s1 = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
            w[i] = w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1);
        }
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = self.state;
        for i in 0..64 {
            let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let ch = (e & f) ^ (!e & g);
            let t1 = h.wrapping_add(s1).wrapping_add(ch).wrapping_add(k[i]).wrapping_add(w[i]);
            let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let t2 = s0.wrapping_add((a & b) ^ (a & c) ^ (b & c));
            (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(t1), c, b, a, t1.wrapping_add(t2));
        }
        for (s, v) in self.state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *s = s.wrapping_add(v);
        }
    }

    pub fn finish(mut self) -> String {
        let bits = self.len * 8;
        let zeros = (119 - self.block.len() % 64) % 64;
        let mut end = vec![0x80];
        end.resize(1 + zeros, 0);
        end.extend_from_slice(&bits.to_be_bytes());
        self.update(&end);
        self.state.iter().map(|s| format!("{s:08x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Sha256;

    #[test]
    fn known_digests() {
        let sum = |data: &[u8]| {
            let mut s = Sha256::new();
            data.chunks(7).for_each(|c| s.update(c));
            s.finish()
        };
        assert_eq!(sum(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sum(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(
            sum(&[b'a'; 1000]),
            "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"
        );
    }
}
