"""Real migrations, applied and taken back: does everything return?"""
