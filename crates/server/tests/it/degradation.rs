//! What every operation answers with Redis away, hung, slow, read-only and full: one table, one test for each trouble.

mod answer;
mod caller;
mod play;
mod promises;
mod stage;
mod table;
mod things;
mod trouble;

use std::collections::BTreeSet;

use anyhow::ensure;

use self::{stage::Stage, table::TABLE, trouble::Trouble};

/// All rows at the first moment of a trouble, while it lasts, and when it is over.
async fn survives(trouble: Trouble) -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let felt = stage.victim.begin(trouble);
    let at_first = stage.play(felt).await;
    ensure!(at_first.is_empty(), "at first:\n{}", at_first.join("\n"));
    if matches!(trouble, Trouble::Away | Trouble::Hung | Trouble::TooSlow) {
        stage.notices().await;
    }
    let later = stage.play(felt).await;
    ensure!(later.is_empty(), "later:\n{}", later.join("\n"));
    stage.victim.end(trouble).await?;
    stage.catches_up().await;
    let after_it = stage.recovers().await;
    ensure!(after_it.is_empty(), "after it:\n{}", after_it.join("\n"));
    stage.kept_its_word().await
}

#[tokio::test]
async fn every_documented_operation_has_its_row() -> anyhow::Result<()> {
    let documented: BTreeSet<String> = Stage::set().await?.operations().into_iter().collect();
    let rows: BTreeSet<String> = TABLE.iter().map(|row| row.operation.to_owned()).collect();
    assert_eq!(rows, documented);
    Ok(())
}

#[tokio::test]
async fn every_operation_answers_as_the_table_says_with_redis_away() -> anyhow::Result<()> {
    survives(Trouble::Away).await
}

#[tokio::test]
async fn every_operation_answers_as_the_table_says_with_redis_hung() -> anyhow::Result<()> {
    survives(Trouble::Hung).await
}

#[tokio::test]
async fn every_operation_answers_as_the_table_says_with_redis_slow() -> anyhow::Result<()> {
    survives(Trouble::Slow).await
}

#[tokio::test]
async fn every_operation_answers_as_the_table_says_with_redis_slower_than_a_command_may_be() -> anyhow::Result<()> {
    survives(Trouble::TooSlow).await
}

#[tokio::test]
async fn every_operation_answers_as_the_table_says_with_redis_read_only() -> anyhow::Result<()> {
    survives(Trouble::ReadOnly).await
}

#[tokio::test]
async fn every_operation_answers_as_the_table_says_with_redis_short_of_replicas() -> anyhow::Result<()> {
    survives(Trouble::Lonely).await
}

#[tokio::test]
async fn every_operation_answers_as_the_table_says_with_redis_full() -> anyhow::Result<()> {
    survives(Trouble::Full).await
}
