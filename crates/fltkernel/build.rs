//! The library's own name, by which drivers find it.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libfltkernel.so");
    println!("cargo:rerun-if-changed=build.rs");
}
