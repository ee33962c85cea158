"""The domain: vocabulary, rules, database and channels to recipients. It imports no HTTP framework and no Celery."""
