//! Detections in, incidents out.
