# Every arm means the weights before frozen BN. `wrs` folds into it and keeps the norms that it begins with: at
# norm 1 each filter would turn at another rate.
regularizers = dict(
    none=dict(frozen_bn='fold'),
    wd=dict(frozen_bn='fold'),
    wrs=dict(frozen_bn='fold', target='init'),
    wrs_matched=dict(frozen_bn='fold', target='init'),
    scale_lr=dict(frozen_bn='fold'),
    pbwn=dict(frozen_bn='fold'),
    hyperball=dict(frozen_bn='fold'),
    rotational=dict(frozen_bn='fold'),
    shifted=dict(frozen_bn='fold'))
