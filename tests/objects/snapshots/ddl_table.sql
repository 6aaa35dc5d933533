CREATE TABLE "t" (
  "a b" Int64,
  "c`d" Nullable(String)
)
ENGINE=MergeTree
ORDER BY tuple()
