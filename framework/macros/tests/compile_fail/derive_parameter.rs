use kirsch::prelude::*;

#[derive(Parameter)]
struct Point {
    x: i64,
    y: i64,
}

#[derive(Parameter)]
enum Shape {
    Circle(f64),
    Square,
    #[parameter(name = "a")]
    Line,
}

#[derive(Parameter)]
struct Wrapped(Point);

fn main() {}
