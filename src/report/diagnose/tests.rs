//! One fixture a class, in every dialect that has it.
