//! S-L4: contexts of which no change is lost.

use super::bed::{Bed, payload};
use crate::{Error, Saved};

/// S-L4.
pub async fn no_lost_update(bed: &Bed) -> Result<(), Error> {
    let made = bed.create().await?;
    let saved = bed.save(&made, 1, "{\"n\":1}").await?;
    assert!(matches!(&saved, Saved::Written(record) if record.version == 2 && record.context == payload("{\"n\":1}")));
    for expected in [1, 3, 0, u64::MAX] {
        let refused = bed.save(&made, expected, "{\"n\":2}").await?;
        let is_as_it_was = matches!(&refused, Saved::Conflict(record) if record.version == 2 && record.context == payload("{\"n\":1}"));
        assert!(is_as_it_was, "{expected}: {refused:?}");
    }
    let both = [bed.save(&made, 2, "{\"n\":3}").await?, bed.save(&made, 2, "{\"n\":4}").await?];
    assert!(matches!(both, [Saved::Written(_), Saved::Conflict(_)]), "{both:?}");
    let other = bed.create().await?;
    assert_eq!(other.record.version, 1);
    Ok(())
}
