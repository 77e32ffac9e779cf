//! Builds the C shim that INCRBYFLOAT needs: Rust has no `long double`.

fn main() {
    println!("cargo::rerun-if-changed=src/raw/long_double.c");
    cc::Build::new()
        .file("src/raw/long_double.c")
        .warnings(true)
        .flag_if_supported("-std=c11")
        .compile("ringstone_long_double");
}
