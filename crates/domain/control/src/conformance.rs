//! One public async function for each law; run against every bus.
