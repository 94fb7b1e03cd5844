//! Agent control: pause, resume, status and the emergency brake.
