def preparation_doubts(engine, preparation, alignment, photos):
    return []
